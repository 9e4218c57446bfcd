internal import JSON

/// Where something stands in the files of a policy set.
struct Place: Hashable {
    let file: Int
    let range: SourceRange
}

/// A value together with the place it was read from.
struct Placed<Value> {
    let value: Value
    let place: Place
}

/// Collects what is found while a policy set is read and checked.
final class PolicyReport {
    private let files: [SourceText]
    private var found: [Finding] = []
    private var concealed: [Place] = []
    private(set) var namedFiles: [NamedFile] = []
    private(set) var hasErrors = false

    private struct Finding {
        let severity: Diagnostic.Severity
        let code: DiagnosticCode
        let message: String
        let place: Place
        let label: String
        let help: [String]
    }

    init(files: [SourceText]) { self.files = files }

    func error(_ code: DiagnosticCode, _ message: String, at place: Place, label: String = "", help: [String] = []) {
        hasErrors = true
        found.append(
            Finding(severity: .error, code: code, message: message, place: place, label: label, help: help))
    }

    func warning(_ code: DiagnosticCode, _ message: String, at place: Place, label: String = "", help: [String] = []) {
        found.append(
            Finding(severity: .warning, code: code, message: message, place: place, label: label, help: help))
    }

    /// Keeps a text out of every source line that is shown: who puts a token where its hash belongs must not find it
    /// in a log.
    func conceal(_ place: Place) { concealed.append(place) }

    /// Remembers a file that the policies name.
    func named(_ file: NamedFile) { namedFiles.append(file) }

    /// `file:line:column` of a place.
    func location(of place: Place) -> String {
        "\(files[place.file].name):\(files[place.file].position(of: place.range.lowerBound))"
    }

    /// `file:line` of a place, the file without its folders.
    func source(of place: Place) -> String {
        let name = files[place.file].name.split(separator: "/").last.map(String.init) ?? ""
        return "\(name):\(files[place.file].position(of: place.range.lowerBound).line)"
    }

    /// Everything found, in the order of the files and their lines.
    var diagnostics: [Diagnostic] {
        found.enumerated().sorted { one, other in
            let (left, right) = (one.element.place, other.element.place)
            return (left.file, left.range.lowerBound, one.offset) < (right.file, right.range.lowerBound, other.offset)
        }.map { diagnostic($0.element) }
    }

    /// The help for a name that nobody defined: the nearest one that somebody did.
    func suggestion(
        for name: String, among known: some Sequence<String>, definedAt place: (String) -> Place? = { _ in nil }
    )
        -> [String]
    {
        guard let nearest = nearest(to: name, among: known) else { return [] }
        guard let defined = place(nearest) else { return ["did you mean \"\(nearest)\"?"] }
        return ["did you mean \"\(nearest)\"? (defined at \(location(of: defined)))"]
    }

    private func diagnostic(_ finding: Finding) -> Diagnostic {
        let file = files[finding.place.file]
        let position = file.position(of: finding.place.range.lowerBound)
        return Diagnostic(
            severity: finding.severity, code: finding.code, message: finding.message, file: file.name,
            position: position, sourceLine: line(position.line, of: finding.place.file),
            width: min(columns(of: finding.place, inLine: position.line).count, 100), label: finding.label,
            help: finding.help)
    }

    /// A source line with stars for what is concealed.
    private func line(_ number: Int, of file: Int) -> String {
        let line = files[file].line(number)
        let hidden = concealed.filter { $0.file == file }.map { columns(of: $0, inLine: number) }
        guard !hidden.isEmpty else { return line }
        let scalars = line.unicodeScalars.enumerated().map { index, scalar in
            hidden.contains { $0.contains(index + 1) } ? "*" : scalar
        }
        return String(String.UnicodeScalarView(scalars))
    }

    /// The columns of a line that a place covers: none if it lies elsewhere.
    private func columns(of place: Place, inLine number: Int) -> Range<Int> {
        let start = files[place.file].position(of: place.range.lowerBound)
        let end = files[place.file].position(of: place.range.upperBound)
        guard (start.line...end.line).contains(number) else { return 1..<1 }
        let lower = start.line == number ? start.column : 1
        let lineEnd = files[place.file].line(number).unicodeScalars.count + 1
        return lower..<max(lower, end.line == number ? end.column : lineEnd)
    }
}

/// The name that `name` is most likely a slip of, or `nil` if none is near.
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

/// How many characters must be inserted, removed, replaced or swapped with their neighbour.
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
