internal import JSON

/// One named member of a section, not yet parsed.
struct NamedValue {
    let name: String
    let nameSpan: SourceSpan
    let value: JSONValue

    var span: SourceSpan { SourceSpan(file: nameSpan.file, range: value.range) }
}

/// The files of a policy set, merged by section.
struct PolicyFiles {
    /// All sections, in the order of the documentation.
    static let sections = [
        "gateway", "scopes", "routes", "limits", "plans", "organizations", "concurrency", "jobStatuses", "jobCaps",
        "errors",
    ]

    let diagnostics: DiagnosticCollector
    /// The files, by index in `diagnostics`, whose names are not those of policy files.
    let misnamedFiles: Range<Int>
    /// By section; sorted by name. Only an organization may have several entries.
    private(set) var entries: [String: [NamedValue]] = [:]

    init(files: [PolicyFile]) {
        var texts = files.filter(\.isRead).map { SourceText(name: $0.name, bytes: $0.bytes) }
        // Without any policy file, diagnostics still need a file to refer to.
        if texts.isEmpty { texts = [SourceText(name: "policies", bytes: Array("{}".utf8))] }
        let misnamed = files.filter { !$0.isRead }.map { SourceText(name: $0.name, bytes: []) }
        diagnostics = DiagnosticCollector(files: texts + misnamed)
        misnamedFiles = texts.count..<texts.count + misnamed.count
        for (index, text) in texts.enumerated() { read(text, index) }
        for section in Self.sections {
            // Entries of the same name stay in the order of the files.
            let sorted = (entries[section] ?? []).enumerated().sorted {
                ($0.element.name, $0.offset) < ($1.element.name, $1.offset)
            }
            entries[section] = sorted.map(\.element)
        }
        for section in Self.sections where section != "organizations" {
            entries[section] = withoutDuplicates(self[section], of: "\(section)")
        }
    }

    /// The entries of a section.
    subscript(section: String) -> [NamedValue] { entries[section] ?? [] }

    private mutating func read(_ text: SourceText, _ file: Int) {
        var duplicates: [JSONError] = []
        let root: JSONValue?
        do {
            root = try JSONValue.read(
                text.bytes.span, as: .json5, limits: JSONLimits(depth: 32, values: 20_000_000), duplicates: &duplicates)
        } catch {
            diagnostics.add(error, in: text, file: file)
            diagnostics.hasUnreadableFile = true
            root = nil
        }
        for duplicate in duplicates { diagnostics.add(duplicate, in: text, file: file) }
        guard let root else { return }
        guard let members = root.object else {
            let span = SourceSpan(file: file, range: root.range)
            diagnostics.error(.wrongType, "a policy file must be an object of sections, not \(root.kindName)", at: span)
            return
        }
        for section in members {
            let span = SourceSpan(file: file, range: section.nameRange)
            guard Self.sections.contains(section.name) else {
                let help = diagnostics.help(for: section, in: .file)
                diagnostics.error(
                    .unknownSection, "unknown section \"\(section.name)\"", at: span,
                    help: help.isEmpty ? ["the sections are \(Self.sections.joined(separator: ", "))"] : help)
                continue
            }
            guard let members = section.value.object else {
                diagnostics.error(
                    .wrongType, "section \"\(section.name)\" must be an object, not \(section.value.kindName)",
                    at: SourceSpan(file: file, range: section.value.range))
                continue
            }
            for member in members {
                entries[section.name, default: []].append(
                    NamedValue(
                        name: member.name, nameSpan: SourceSpan(file: file, range: member.nameRange),
                        value: member.value)
                )
            }
        }
    }

    private func withoutDuplicates(_ sorted: [NamedValue], of section: String) -> [NamedValue] {
        var unique: [NamedValue] = []
        for entry in sorted {
            if let last = unique.last, last.name == entry.name {
                diagnostics.duplicate(
                    "\"\(entry.name)\" in section \"\(section)\"", entry.nameSpan, first: last.nameSpan)
            } else {
                unique.append(entry)
            }
        }
        return unique
    }
}

extension DiagnosticCollector {
    /// Reports a name that is already defined elsewhere.
    func duplicate(_ what: String, _ span: SourceSpan, first: SourceSpan) {
        error(
            .duplicateName, "\(what) is defined twice", at: span, label: "defined again here",
            help: ["the first definition is at \(location(of: first))"])
    }

    fileprivate func add(_ mistake: JSONError, in text: SourceText, file: Int) {
        let span = SourceSpan(file: file, range: mistake.range)
        switch mistake.kind {
        case .duplicateName(let name, let first):
            duplicate("\"\(name)\"", span, first: SourceSpan(file: file, range: first))
        default:
            error(.syntax, mistake.message, at: span, help: SyntaxHints.help(for: mistake, in: text))
        }
    }
}

extension JSONValue {
    /// The kind of value, with its article.
    var kindName: String {
        switch kind {
        case .null: "null"
        case .bool: "a truth value"
        case .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }

    /// The value of a number, the kind of anything else: `must be a whole number, not 1.5`.
    var shortName: String {
        if case .number(let number) = kind { number.text } else { kindName }
    }
}
