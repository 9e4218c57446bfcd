/// The job statuses of one API family as written.
struct JobStatusDocument {
    let family: RouteFamily
    let span: SourceSpan
    /// All words with their meaning, in the order of the document.
    let words: [(word: Located<String>, phase: JobStatuses.Phase)]

    /// The lists of words, in the order of the documentation.
    private static let lists: [(name: String, phase: JobStatuses.Phase)] = [
        ("active", .active), ("final", .ended), ("cancelled", .cancelled),
    ]
    /// The families that have words of their own. Routes of another family know the words of both.
    static let families = [RouteFamily.aitronos, .airweave]

    init?(_ entry: NamedValue, _ diagnostics: DiagnosticCollector) {
        guard let family = RouteFamily(rawValue: entry.name), Self.families.contains(family) else {
            let names = Self.families.map(\.rawValue)
            let help = diagnostics.suggestion(for: entry.name, among: names)
            diagnostics.error(
                .badName, "there is no family \"\(entry.name)\" with job statuses", at: entry.nameSpan,
                help: help.isEmpty ? ["the families are \(names.joined(separator: " and "))"] : help)
            return nil
        }
        self.family = family
        span = entry.nameSpan
        let owner = "job statuses of \"\(entry.name)\""
        guard let fields = ObjectReader(entry, "the job statuses", of: owner, shape: .jobStatuses, diagnostics) else {
            return nil
        }
        for list in Self.lists where list.phase != .cancelled { fields.require(list.name, at: span) }
        var words: [(word: Located<String>, phase: JobStatuses.Phase)] = []
        var first: [String: SourceSpan] = [:]
        for list in Self.lists {
            for word in fields.strings(list.name, mayBeEmpty: list.phase == .cancelled)?.value ?? [] {
                if let span = first[word.value.lowercased()] {
                    diagnostics.duplicate("status \"\(word.value)\" of \(owner)", word.span, first: span)
                    continue
                }
                first[word.value.lowercased()] = word.span
                words.append((word, list.phase))
            }
        }
        self.words = words
        _ = fields.string("description")
    }
}

extension JobStatuses {
    /// A family without a document has its documented words.
    init(_ documents: [JobStatusDocument]) {
        var statuses = JobStatuses.documented
        for document in documents {
            statuses.replace(document.family, with: document.words.map { ($0.word.value, $0.phase) })
        }
        self = statuses
    }
}
