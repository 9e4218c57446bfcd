import Foundation
import Testing

@testable import Gateway
@testable import Policy

/// The stages of a request are written down three times: in the table of `Pipeline.swift`, in README.md, and as `Stage`.
@Suite("The list of stages")
struct StageListTests {
    private struct Row: Equatable {
        let name: String
        var endsWith: String
    }

    private let source: String
    /// The cells of the table in `Pipeline.swift`: name, statuses, call, file.
    private let table: [[String]]

    init() throws {
        source = try Self.text("Sources/Gateway/Pipeline/Pipeline.swift")
        var rows: [[String]] = []
        for line in source.split(separator: "\n") where line.hasPrefix("//  ") && !line.contains("---") {
            let cells = line.dropFirst(2).components(separatedBy: " | ").map { $0.trimmingCharacters(in: .whitespaces) }
            if !cells[0].hasPrefix("|") && !cells[0].isEmpty { rows.append(cells) }
        }
        #expect(rows.first?.first == "stage")
        table = Array(rows.dropFirst())
        try #require(table.count > 10 && table.allSatisfy { $0.count == 4 }, "the table cannot be read")
    }

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: repository.appending(path: path), encoding: .utf8)
    }

    private static func statuses(_ text: String) -> Set<Int> {
        Set(text.split(separator: ",").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) })
    }

    /// The statuses in the table for all rows that count as one of `Stage`.
    private func statuses(of stage: Stage) -> Set<Int> {
        table.filter { Self.stage(named: $0[0]) == stage }.reduce(into: []) { $0.formUnion(Self.statuses($1[1])) }
    }

    /// The stage of the code that a row counts as.
    private static func stage(named name: String) -> Stage? {
        switch name {
        case "resolve": .read
        case "confirm": .admit
        case "respond": .record
        default: Stage(rawValue: name.split(separator: ":").first.map(String.init) ?? name)
        }
    }

    @Test("Stage list: README has the stages of the table, in its order and with its statuses")
    func readme() throws {
        let lines = try Self.text("README.md").components(separatedBy: "\n")
        let start = try #require(lines.firstIndex { $0.contains("| Pipeline ") })
        let end = try #require(lines[start...].firstIndex { $0.contains("+---") })
        let header = Array(lines[start])
        let nameColumn = try #require(header.firstIndex(of: "P")) + 2
        let statusColumn = try #require(header.firstIndex(of: "r"))
        let edge = try #require(header.lastIndex(of: "|"))
        var rows: [Row] = []
        for line in lines[(start + 1)..<end].map(Array.init) {
            let status = String(line[statusColumn..<edge]).trimmingCharacters(in: .whitespaces)
            if line[nameColumn] != " " {
                let name = String(line[nameColumn..<nameColumn + 14]).trimmingCharacters(in: .whitespaces)
                rows.append(Row(name: name, endsWith: status))
            } else if line[edge] == "|", status.first?.isNumber == true {
                rows[rows.count - 1].endsWith += " " + status
            }
        }
        #expect(rows == table.map { Row(name: $0[0], endsWith: $0[1]) })
    }

    @Test("Stage list: the enum has the stages of the table, in its order")
    func stages() throws {
        var expected: [Stage] = []
        for row in table {
            let stage = try #require(Self.stage(named: row[0]), "\(row[0])")
            if !expected.contains(stage) { expected.append(stage) }
        }
        #expect(Stage.allCases.filter { $0 != .connect && $0 != .head } == expected)
    }

    @Test("Stage list: the pipeline makes the calls of the table, in its order, and each file is there")
    func calls() throws {
        let start = try #require(source.range(of: "func handle("))
        let body = source[start.upperBound...].prefix(
            upTo: try #require(source.range(of: "\n    }\n", range: start.upperBound..<source.endIndex)).lowerBound)
        var position = body.startIndex
        var last = ""
        for row in table {
            let call = row[2]
            if call != last {
                let found = try #require(
                    body.range(of: call + "(", range: position..<body.endIndex), "\(row[0]): no call of \(call)")
                position = found.upperBound
                last = call
            }
            let file = row[3].prefix { $0 != "," && $0 != ";" }
            let path = repository.appending(path: "Sources/Gateway/\(file).swift").path
            #expect(FileManager.default.fileExists(atPath: path), "\(row[0]): no file \(file)")
        }
    }

    @Test("Stage list: a refusal ends a request at the stage, and with the status, of the table")
    func refusals() {
        var found: [Stage: Set<Int>] = [:]
        for (refusal, field, _, _, _) in FailureTests.refusalRows {
            let status = ErrorResponse(.refusal(refusal, credential: field)).status
            found[refusal.stage, default: []].insert(status)
        }
        // The one failure beside the refusals.
        found[.authenticate, default: []].insert(
            ErrorResponse(.failure(Failure(.authenticationsLimited(.init(limit: "", retryAfterSeconds: 1)), at: .read)))
                .status)
        for stage in [Stage.route, .authenticate, .authorize] {
            #expect(found[stage] == statuses(of: stage), "\(stage)")
        }
    }

    @Test("Stage list: the failures that stages throw have the statuses of the table, and each status has its failure")
    func failures() throws {
        var kinds: [String: Set<Int>] = [:]
        for (kind, status, _, _, _) in FailureTests.rows {
            let name = "\(kind)".prefix { $0.isLetter }
            kinds[String(name), default: []].insert(status)
        }
        // It is in no table of responses, because nobody reads it.
        kinds["clientGone"] = [ErrorResponse(.failure(Failure(.clientGone, at: .forward))).status]
        let upstream = Set(UpstreamFailure.allCases.map { ErrorResponse(.failure(Failure($0))).status })
        var found: [Stage: Set<Int>] = [.read: upstream, .forward: upstream]
        let folder = repository.appending(path: "Sources/Gateway/Pipeline")
        let files = try #require(FileManager.default.enumerator(atPath: folder.path)?.allObjects as? [String])
        for file in files where file.hasSuffix(".swift") {
            let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
            // Between the two there are the kinds, two of them where a condition chooses.
            for thrown in text.components(separatedBy: "Failure(").dropFirst() {
                guard let end = thrown.range(of: ", at: ."),
                    end.lowerBound < thrown.index(thrown.startIndex, offsetBy: min(300, thrown.count)),
                    let stage = Stage(rawValue: String(thrown[end.upperBound...].prefix { $0.isLetter }))
                else { continue }
                for word in thrown[..<end.lowerBound].split(whereSeparator: { !$0.isLetter && $0 != "." })
                where word.hasPrefix(".") {
                    found[stage, default: []].formUnion(kinds[String(word.dropFirst())] ?? [])
                }
            }
        }
        for stage in [Stage.limit, .read, .admit, .forward] {
            #expect((found[stage] ?? []).subtracting([500]) == statuses(of: stage), "\(stage)")
        }
    }
}
