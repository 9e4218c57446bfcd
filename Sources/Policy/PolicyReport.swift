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
    private var found: [(place: Place, diagnostic: Diagnostic)] = []
    private(set) var hasErrors = false

    init(files: [SourceText]) { self.files = files }

    func error(_ code: DiagnosticCode, _ message: String, at place: Place, label: String = "", help: [String] = []) {
        hasErrors = true
        add(.error, code, message, place, label, help)
    }

    func warning(_ code: DiagnosticCode, _ message: String, at place: Place, label: String = "", help: [String] = []) {
        add(.warning, code, message, place, label, help)
    }

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
        }.map(\.element.diagnostic)
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

    private func add(
        _ severity: Diagnostic.Severity, _ code: DiagnosticCode, _ message: String, _ place: Place, _ label: String,
        _ help: [String]
    ) {
        let file = files[place.file]
        let position = file.position(of: place.range.lowerBound)
        let end = file.position(of: place.range.upperBound)
        var line = file.line(position.line)
        let length = line.unicodeScalars.count
        let upper = end.line == position.line ? end.column : length + 1
        let width = max(1, upper - position.column)
        if code == .badHash {
            // Who puts a token where its hash belongs must not find it in a log.
            let scalars = line.unicodeScalars.enumerated().map { index, scalar in
                (position.column - 1..<position.column - 1 + width).contains(index) ? "*" : scalar
            }
            line = String(String.UnicodeScalarView(scalars))
        }
        found.append(
            (
                place,
                Diagnostic(
                    severity: severity, code: code, message: message, file: file.name, position: position,
                    sourceLine: line, width: min(width, 100), label: label, help: help)
            ))
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
