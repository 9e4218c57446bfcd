import Foundation
import Policy
import Testing

/// Each file of the folder `Golden` is policy files, a line of ten dashes, and what is found in them.
///
/// The input is `policy.json5`; a line `==> NAME` starts a further file. `base.json5` is read first, unless the input
/// starts with `// alone`. Named files are good unless their name says otherwise. `UPDATE_GOLDEN=1` writes the findings of this run into the files.
@Suite("Diagnostics")
struct GoldenTests {
    private static let folder = repository.appendingPathComponent("Tests/PolicyTests/Golden")
    private static let separator = "----------\n"

    @Test("Diagnostics: the diagnostics of a golden file are those that it lists", arguments: try goldenNames())
    func golden(name: String) throws {
        let url = Self.folder.appendingPathComponent(name)
        let text = try String(contentsOf: url, encoding: .utf8)
        let parts = text.components(separatedBy: Self.separator)
        try #require(parts.count == 2)
        let found = Self.findings(try Self.files(parts[0]))
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
            try (parts[0] + Self.separator + found).write(to: url, atomically: true, encoding: .utf8)
        } else {
            #expect(found == parts[1])
        }
    }

    @Test("Diagnostics: each code has its golden file", arguments: DiagnosticCode.allCases)
    func covered(code: DiagnosticCode) throws {
        let url = Self.folder.appendingPathComponent("\(code.rawValue).golden")
        let text = try String(contentsOf: url, encoding: .utf8)
        let expected = try #require(text.components(separatedBy: Self.separator).last)
        #expect(expected.contains("[\(code.rawValue)]\n"))
    }

    @Test("Diagnostics: each code and its fix are in the README of the policies", arguments: DiagnosticCode.allCases)
    func documented(code: DiagnosticCode) throws {
        let readme = try String(contentsOf: repository.appendingPathComponent("policies/README.md"), encoding: .utf8)
        #expect(readme.contains("| `\(code.rawValue)` |"))
    }

    @Test("Diagnostics: a finding never shows the text in place of a hash")
    func secrets() throws {
        let text = """
            { organizations: { org_a: { plan: "x", tokens: { a: { sha256: "gw_secret", scopes: ["y"] } } } } }
            """
        guard case .refused(let diagnostics) = load([text]) else {
            Issue.record("loaded")
            return
        }
        #expect(diagnostics.count > 2)
        for diagnostic in diagnostics { #expect(!"\(diagnostic)\(diagnostic.rendered)".contains("gw_secret")) }
    }

    @Test(
        "Diagnostics: a finding never shows a token, whatever it stands for",
        arguments: [
            "{ organizations: { o: { tokens: { a: { token: \"TOKEN\" } } } } }",
            "{ organizations: { o: { tokens: { \"TOKEN\": {} } } } }", "{ TOKEN: {} }",
            "{ limits: { a: { allow: \"TOKEN\" } } }",
            "{ organizations: { o: { plan: \"TOKEN\" } } }", "{ organizations: { o: { id: 'TOKEN' } } }", "TOKEN",
            "{ organizations: { o: { } } } // TOKEN }}", "{ organizations: { o: { a: TOKEN } } }", "{ /* TOKEN */ x }",
            "{ \"TOKEN: 1 }", "{ a: \"TOKEN\", a: \"TOKEN\" }", "{ a: \"cgw_\\u0054OKEN_secret\" }",
            "{ gateway: { upstream: { url: \"TOKEN\", credential: \"TOKEN\" }, TOKEN: 1 } }",
            "{ routes: { a: { match: \"TOKEN\", class: \"TOKEN\", connection: \"TOKEN\" } } }",
        ])
    func tokens(text: String) {
        guard case .refused(let diagnostics) = load([text.replacingOccurrences(of: "TOKEN", with: "cgw_Ab9-z_secret")])
        else {
            Issue.record("loaded")
            return
        }
        for diagnostic in diagnostics {
            #expect(!diagnostic.rendered.contains("secret"), "\(diagnostic.rendered)")
            #expect(!"\(diagnostic)".contains("secret"))
        }
    }

    @Test("Diagnostics: tokens are found and masked in linear time", .timeLimit(.minutes(1)))
    func linear() {
        let token = #" { token: "cgw_xxxxxxxxxxxxxxxxxxxxxxxxxx", scopes: "s" },"#
        let tokens = (0..<8000).map { " t\($0):" + token }.joined()
        guard case .refused(let diagnostics) = load(["{ organizations: { o: { tokens: {\(tokens) } } } }"]) else {
            Issue.record("loaded")
            return
        }
        #expect(diagnostics.count { $0.code == .unknownField } == 8000)
        #expect(diagnostics.allSatisfy { !$0.rendered.contains("xxxx") })
    }

    @Test(
        "Diagnostics: a file in UTF-16 is reported as such",
        arguments: [String.Encoding.utf16, .utf16LittleEndian, .utf16BigEndian])
    func utf16(encoding: String.Encoding) throws {
        let bytes = Array(try #require("{ routes: {} }".data(using: encoding)))
        let load = PolicySet.load(files: [PolicyFile(name: "a.json5", bytes: bytes)], sha256: stubHash, now: testNow)
        guard case .refused(let diagnostics) = load else {
            Issue.record("loaded")
            return
        }
        let syntax = diagnostics.filter { $0.code == .syntax }
        #expect(syntax.map(\.help) == [["the file is encoded in UTF-16: save it as UTF-8"]])
    }

    @Test("Diagnostics: thousands of overrides are judged in linear time", .timeLimit(.minutes(1)))
    func overrides() {
        let overrides = (0..<8000).map { number in
            let time = String(format: "2027-01-01T%02d:%02d:%02dZ", number / 3600, number / 60 % 60, number % 60)
            return "{ limit: 'l', allow: '1000/s', until: '\(time)' },"
        }
        let text = """
            { scopes: { s: {} }, routes: { a: { match: 'GET /a', scope: 's' } }, limits: { l: { on: '*', per: 'token',
              allow: '1/s', burst: 5 } }, organizations: { o: { tokens: { t: { sha256: '\(hex(1))', scopes: 's' } },
              overrides: [\(overrides.joined())] } } }
            """
        guard case .loaded(_, let warnings) = load([text]) else {
            Issue.record("refused")
            return
        }
        // The first that is worked in changes the pace; all others begin with that.
        #expect(warnings.map(\.code) == [.burstStays])
    }

    @Test("Diagnostics: the caret stays below its character behind tabs, wide characters and in endless lines")
    func carets() throws {
        let long = "{ \(String(repeating: " ", count: 500))\u{e9}\u{e9}: { }, \(String(repeating: " ", count: 500)) }"
        for text in ["{\t\u{e9}\u{e9}: {} }", long] {
            guard case .refused(let diagnostics) = load([text]) else { continue }
            let lines = try #require(diagnostics.first?.rendered.components(separatedBy: "\n"))
            let source = Array(lines[2].unicodeScalars)
            let caret = Array(lines[3].unicodeScalars)
            let start = try #require(caret.firstIndex(of: "^"))
            #expect(source[start] == "\u{e9}")
            #expect(caret.filter { $0 == "^" }.count == 2)
            #expect(source.count < 200)
            #expect(source[..<start].filter { $0 == "\t" } == caret[..<start].filter { $0 == "\t" })
        }
    }

    private static func goldenNames() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".golden") }.sorted()
    }

    private static func files(_ input: String) throws -> [PolicyFile] {
        var files: [PolicyFile] = []
        if !input.hasPrefix("// alone") {
            let base = try Data(contentsOf: folder.appendingPathComponent("base.json5"))
            files.append(PolicyFile(name: "base.json5", bytes: Array(base)))
        }
        var name = "policy.json5"
        var text = ""
        func close() {
            if PolicyFile.role(of: name) == .misnamed {
                files.append(PolicyFile(misnamed: name))
            } else if !text.isEmpty {
                files.append(PolicyFile(name: name, bytes: Array(text.utf8)))
            }
            text = ""
        }
        for line in input.components(separatedBy: "\n").dropLast() {
            if line.hasPrefix("==> ") {
                close()
                name = String(line.dropFirst(4))
            } else if line != "// alone" {
                text += line + "\n"
            }
        }
        close()
        return files
    }

    private static func findings(_ files: [PolicyFile]) -> String {
        let load = PolicySet.load(files: files, sha256: stubHash, now: testNow) { path in
            switch path {
            case "absent", "/absent": .absent
            case "folder": .isFolder
            case "unreadable": .unreadable
            default: nil
            }
        }
        return switch load {
        case .loaded(_, let warnings): warnings.map(\.rendered).joined(separator: "\n")
        case .refused(let diagnostics): diagnostics.map(\.rendered).joined(separator: "\n")
        }
    }
}
