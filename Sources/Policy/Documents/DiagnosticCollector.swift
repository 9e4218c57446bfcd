internal import JSON

/// A range of one file of a policy set.
struct SourceSpan: Hashable {
    let file: Int
    let range: SourceRange
}

/// A value and its position in the files.
struct Located<Value> {
    let value: Value
    let span: SourceSpan
}

/// Collects the diagnostics of reading and checking a policy set.
final class DiagnosticCollector {
    private let files: [SourceText]
    private var found: [Finding] = []
    private var concealed: [SourceSpan] = []
    private(set) var referencedFiles: [ReferencedFile] = []
    private(set) var hasErrors = false
    /// A file could not be read. It may define what no other file defines, so unknown names are not reported.
    var hasUnreadableFile = false
    private var suggestions = 0

    private static let maxSuggestions = 100

    private struct Finding {
        let severity: Diagnostic.Severity
        let code: DiagnosticCode
        let message: String
        let span: SourceSpan
        let label: String
        let help: [String]
    }

    init(files: [SourceText]) { self.files = files }

    func error(_ code: DiagnosticCode, _ message: String, at span: SourceSpan, label: String = "", help: [String] = [])
    {
        hasErrors = true
        found.append(
            Finding(severity: .error, code: code, message: message, span: span, label: label, help: help))
    }

    func warning(
        _ code: DiagnosticCode, _ message: String, at span: SourceSpan, label: String = "", help: [String] = []
    ) {
        found.append(
            Finding(severity: .warning, code: code, message: message, span: span, label: label, help: help))
    }

    /// Hides a text in all excerpts: an author may have written a secret where its hash or its file belongs, and it
    /// must not get into a log. Texts that look like tokens of the gateway are always hidden.
    func conceal(_ span: SourceSpan) { concealed.append(span) }

    /// Records a file that the policies name.
    func record(_ file: ReferencedFile) { referencedFiles.append(file) }

    /// `file:line:column` of a span.
    func location(of span: SourceSpan) -> String {
        "\(files[span.file].name):\(files[span.file].position(of: span.range.lowerBound))"
    }

    /// `file:line` of a span, without the folders of the file.
    func source(of span: SourceSpan) -> String {
        let name = files[span.file].name.split(separator: "/").last.map(String.init) ?? ""
        return "\(name):\(files[span.file].position(of: span.range.lowerBound).line)"
    }

    /// All diagnostics, by file and position; syntax errors first.
    var all: [Diagnostic] {
        var concealed = files.map { _ in [SourceRange]() }
        for span in self.concealed { concealed[span.file].append(span.range) }
        for file in Set(found.map(\.span.file)) { concealed[file] += TokenMask.secrets(in: files[file].bytes) }
        let hidden = concealed.map(ConcealedText.init)
        return found.enumerated().sorted { one, other in
            let (left, right) = (one.element.span, other.element.span)
            // Syntax errors come first: other findings may follow from them.
            let (isLate, isOtherLate) = (one.element.code == .syntax ? 0 : 1, other.element.code == .syntax ? 0 : 1)
            return (isLate, left.file, left.range.lowerBound, one.offset)
                < (isOtherLate, right.file, right.range.lowerBound, other.offset)
        }.map { diagnostic($0.element, hidden) }
    }

    /// The help for an undefined name: the nearest defined one.
    func suggestion(
        for name: String, among known: some Sequence<String>, definedAt span: (String) -> SourceSpan? = { _ in nil }
    )
        -> [String]
    {
        guard let nearest = nearestName(to: name, among: known) else { return [] }
        guard let defined = span(nearest) else { return ["did you mean \"\(nearest)\"?"] }
        return ["did you mean \"\(nearest)\"? (defined at \(location(of: defined)))"]
    }

    /// The name that `name` most likely misspells. Each call compares it with all names, so only the first hundred
    /// calls for a policy set search.
    func nearestName(to name: String, among known: some Sequence<String>) -> String? {
        guard canSuggestMore else { return nil }
        suggestions += 1
        return nearest(to: name, among: known)
    }

    /// Whether another search among all names is allowed.
    var canSuggestMore: Bool { suggestions < Self.maxSuggestions }

    func name(of file: Int) -> String { files[file].name }

    func hasFile(named name: String) -> Bool { files.contains { $0.name == name } }

    private func diagnostic(_ finding: Finding, _ hidden: [ConcealedText]) -> Diagnostic {
        let span = finding.span
        let file = files[span.file]
        let line = file.lineRange(at: span.range.lowerBound)
        let start = min(max(span.range.lowerBound, line.lowerBound), line.upperBound)
        let end = file.offset(
            100, charactersFrom: start, in: start..<max(start, min(span.range.upperBound, line.upperBound)))
        return Diagnostic(
            severity: finding.severity, code: finding.code, message: TokenMask.masked(finding.message),
            file: file.name,
            position: file.position(of: span.range.lowerBound),
            // A file that is empty, or not read, has no line to show.
            excerpt: file.bytes.isEmpty
                ? nil : SourceExcerpt(of: file, at: start, isHidden: hidden[span.file].contains),
            width: file.position(of: end).column - file.position(of: start).column,
            label: TokenMask.masked(finding.label), help: finding.help.map(TokenMask.masked))
    }
}

/// The concealed ranges of one file.
private struct ConcealedText {
    /// Sorted and disjoint.
    private var ranges: [SourceRange] = []

    init(_ spans: [SourceRange]) {
        for range in spans.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = ranges.last, range.lowerBound <= last.upperBound {
                ranges[ranges.count - 1].upperBound = max(last.upperBound, range.upperBound)
            } else {
                ranges.append(range)
            }
        }
    }

    func contains(_ offset: Int) -> Bool {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= offset { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].lowerBound <= offset
    }
}

/// The name that `name` most likely misspells, or `nil` if none is near.
func nearest(to name: String, among known: some Sequence<String>) -> String? {
    let target = Array(name.lowercased().unicodeScalars)
    guard target.count <= 64 else { return nil }
    var best: (name: String, distance: Int)?
    for candidate in known where candidate.utf8.count <= 64 {
        let scalars = Array(candidate.lowercased().unicodeScalars)
        let limit = max(1, max(target.count, scalars.count) / 3)
        guard abs(scalars.count - target.count) <= limit else { continue }
        let distance = editDistance(target, scalars)
        guard distance <= limit else { continue }
        if let best, (best.distance, best.name) <= (distance, candidate) { continue }
        best = (candidate, distance)
    }
    return best?.name
}

/// The number of characters to insert, remove, replace, or swap with their neighbour.
private func editDistance(_ one: [Unicode.Scalar], _ other: [Unicode.Scalar]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...other.count)
    for row in 0..<one.count {
        var current = [row + 1]
        for column in 0..<other.count {
            var cost = min(
                last[column + 1] + 1, current[column] + 1, last[column] + (one[row] == other[column] ? 0 : 1))
            if row > 0, column > 0, one[row] == other[column - 1], one[row - 1] == other[column] {
                cost = min(cost, beforeLast[column - 1] + 1)
            }
            current.append(cost)
        }
        (beforeLast, last) = (last, current)
    }
    return last[other.count]
}
