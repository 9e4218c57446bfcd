import Policy
import Testing

@Suite("Error rules")
struct ErrorRuleTests {
    private static func rule(_ pattern: String?, field: [String]? = ["detail"]) -> ErrorRule {
        ErrorRule(
            name: "rule", statuses: 400...409, field: field, pattern: pattern,
            replacement: .init(status: 409, code: nil, message: nil, retryAfterSeconds: nil))
    }

    private static func matches(_ pattern: String, _ text: String) -> Bool {
        rule(pattern).matches(status: 400, text: text)
    }

    @Test(
        "ErrorRule: a star stands for any text, also for none",
        arguments: [
            ("", ""), ("*", ""), ("*", "a\nb\0"), ("***", "abc"), ("a", "a"), ("a*", "a"), ("a*", "abc"), ("*c", "abc"),
            ("*c", "cabc"), ("*b*", "abc"), ("*b*", "b"), ("a*c", "ac"), ("a*b*c", "a__b__b__c"), ("*ab*ba*", "abba"),
            ("*aab*", "aaaab"), ("*abab*abac*", "abacababacabac"), ("a**b", "ab"),
            (
                "*already running*",
                "Cannot start new sync: a sync job is Already RUNNING"
            ), ("*\u{e9}*", "caf\u{e9}s"), ("A?[a]", "a?[A]"),
        ])
    func matching(pattern: String, text: String) {
        #expect(Self.matches(pattern, text))
    }

    @Test(
        "ErrorRule: what the pattern does not say does not match",
        arguments: [
            ("", "a"), ("a", ""), ("a", "aa"), ("a*", "ba"), ("*a", "ab"), ("ab*ba", "aba"), ("*ab*ba*", "aba"),
            ("a*b*c", "acb"), ("*aab*", "abab"), ("*b*b*", "abc"), ("aa*aa", "aaa"), ("*\u{e9}*", "caf\u{c9}s"),
            ("[", "{"), ("@*", "`"),
        ])
    func missing(pattern: String, text: String) {
        #expect(!Self.matches(pattern, text))
    }

    @Test("ErrorRule: matching is what a slow and simple reading of the pattern is, for all short texts")
    func model() {
        func slow(_ pattern: ArraySlice<Character>, _ text: ArraySlice<Character>) -> Bool {
            guard let first = pattern.first else { return text.isEmpty }
            if first == "*" {
                return (text.startIndex...text.endIndex).contains { slow(pattern.dropFirst(), text[$0...]) }
            }
            return text.first == first && slow(pattern.dropFirst(), text.dropFirst())
        }
        func words(_ letters: [Character], upTo length: Int) -> [[Character]] {
            var words: [[Character]] = [[]]
            var last = words
            for _ in 0..<length {
                last = last.flatMap { word in letters.map { word + [$0] } }
                words += last
            }
            return words
        }
        let texts = words(["a", "b"], upTo: 6)
        for pattern in words(["a", "b", "*"], upTo: 5) {
            let rule = Self.rule(String(pattern))
            for text in texts where rule.matches(status: 400, text: String(text)) != slow(pattern[...], text[...]) {
                Issue.record("\(String(pattern)) on \(String(text))")
            }
        }
    }

    @Test("ErrorRule: a hostile text costs no more than its length")
    func linear() {
        let text = String(repeating: "a", count: 64 << 10)
        let clock = ContinuousClock()
        func time(_ pattern: String) -> Duration {
            let rule = Self.rule(pattern)
            return (0..<3).map { _ in clock.measure { #expect(!rule.matches(status: 400, text: text)) } }.min() ?? .zero
        }
        let friendly = time("*b*")
        // With backtracking the first would outlast the universe; a search from each place anew costs the second a
        // thousand times as much.
        #expect(time(String(repeating: "*a", count: 500) + "*b*") < friendly * 50)
        #expect(time("*" + String(repeating: "a", count: 1000) + "b*") < friendly * 50)
    }

    @Test("ErrorRule: a rule is about its statuses, and about a text only where it has a field")
    func conditions() {
        #expect(Self.rule("*").matches(status: 400, text: "x") && Self.rule("*").matches(status: 409, text: "x"))
        #expect(!Self.rule("*").matches(status: 399, text: "x") && !Self.rule("*").matches(status: 410, text: "x"))
        #expect(!Self.rule("*").matches(status: 400, text: nil))
        #expect(!Self.rule(nil).matches(status: 400, text: nil) && Self.rule(nil).matches(status: 400, text: ""))
        #expect(Self.rule(nil, field: nil).matches(status: 400, text: nil))
    }

    @Test("ErrorRule: rules arrive at their routes in the order of their names")
    func compiled() throws {
        let set = try policySet(
            """
            {
              scopes: { s: {} },
              routes: {
                a: { match: "GET /a", scope: "s" }, b: { match: "GET /b", scope: "s" }, c: { match: "GET /c", scope: "s" },
                open: { match: "GET /", public: true }, ping: { match: "GET /ping", public: true, respond: 204 },
              },
              errors: {
                "2": {
                  on: ["a", "c"], when: { status: "4xx", field: "error.message", matches: "*x*" },
                  replaceWith: { status: 409, code: "CODE_1", message: "Wait.", retryAfter: "1500ms" }, upstream: "show",
                },
                "1": { on: "a", when: { status: [500, 503], field: ["a.b"] }, upstream: "hide" },
                "3": { on: "*", when: { status: 599, field: "" , matches: "" }, replaceWith: { status: 502 } },
                "4": { on: "b", replaceWith: { code: "OTHER" }, description: "x" },
              },
            }
            """)
        let names = Dictionary(uniqueKeysWithValues: set.routes.routes.map { ($0.id, $0.errors.map(\.name)) })
        #expect(names == ["a": ["1", "2", "3"], "b": ["3", "4"], "c": ["2", "3"], "open": ["3"], "ping": []])
        let errors = set.routes.routes[0].errors
        let none = ErrorRule.Replacement(status: nil, code: nil, message: nil, retryAfterSeconds: nil)
        #expect(
            errors == [
                ErrorRule(
                    name: "1", statuses: 500...503, field: ["a.b"], replacement: none, showsOriginalError: false,
                    source: "0.json5:12"),
                ErrorRule(
                    name: "2", statuses: 400...499, field: ["error", "message"], pattern: "*x*",
                    replacement: .init(status: 409, code: "CODE_1", message: "Wait.", retryAfterSeconds: 2),
                    showsOriginalError: true, source: "0.json5:8"),
                ErrorRule(
                    name: "3", statuses: 599...599, field: [], pattern: "",
                    replacement: .init(status: 502, code: nil, message: nil, retryAfterSeconds: nil),
                    source: "0.json5:13"),
            ])
        #expect(set.routes.routes[1].errors.last?.statuses == 400...599)
    }

    @Test("ErrorRule: rules are part of the version")
    func version() throws {
        func version(_ errors: String) throws -> String {
            try policySet("{ routes: { a: { match: \"GET /\", public: true } }, errors: { \(errors) } }").version
        }
        let one = try version("x: { on: \"*\", replaceWith: { status: 409 } }")
        #expect(try version("\"x\": { replaceWith: { status: 0x199 }, on: '*' }") == one)
        #expect(try version("x: { on: \"*\", replaceWith: { status: 410 } }") != one)
        #expect(try version("") != one)
    }
}
