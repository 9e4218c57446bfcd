import Foundation

/// An article of the documentation, for tests that compare it with the code.
struct Article {
    let lines: [String]

    /// Reads `Sources/Gateway/Documentation.docc/NAME.md`.
    init(_ name: String) throws {
        let url = repository.appendingPathComponent("Sources/Gateway/Documentation.docc/\(name).md")
        lines = try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    /// The cells of each row of the tables below `heading`, up to the next heading; of all tables without one. The first cell
    /// of such a row is code.
    func rows(below heading: String? = nil) -> [[String]] {
        var lines = lines
        if let heading {
            let titles = ["## \(heading)", "### \(heading)"]
            lines = Array(lines.drop { !titles.contains($0) }.dropFirst().prefix { !$0.hasPrefix("#") })
        }
        return lines.filter { $0.hasPrefix("| `") }.map { line in
            line.dropFirst(2).dropLast(2).components(separatedBy: " | ")
        }
    }
}
