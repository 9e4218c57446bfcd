import Testing

@testable import Gateway

@Suite("Idempotency-Key")
struct IdempotencyKeyTests {
    private static func read(_ text: String) -> Result<String, IdempotencyKey.Malformed> {
        do throws(IdempotencyKey.Malformed) {
            return .success(String(decoding: try IdempotencyKey(Array(text.utf8).span).bytes, as: UTF8.self))
        } catch { return .failure(error) }
    }

    @Test("IdempotencyKey: quoted and bare name the same key")
    func accepted() {
        let longest = String(repeating: "k", count: 255)
        for (text, key) in [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("!#$%&'()*+-./:<=>?@[\\]^_`{|}~", "!#$%&'()*+-./:<=>?@[\\]^_`{|}~"), (longest, longest),
            ("\"\(longest)\"", longest), (#""a\"b\\c""#, #"a"b\c"#), (#""a,b;c""#, "a,b;c"),
        ] { #expect(Self.read(text) == .success(key), "\(text)") }
    }

    @Test("IdempotencyKey: anything else is refused with the rule that it breaks")
    func refused() {
        let tooLong = String(repeating: "k", count: 256)
        for (text, reason) in [
            ("", .empty), ("\"\"", .empty), (tooLong, .tooLong), ("\"\(tooLong)\"", .tooLong), ("\"", .unclosed),
            ("\"a", .unclosed), ("\"a\\", .unclosed), ("\"a\\\"", .unclosed), ("\"a\"b", .afterQuote),
            ("\"a\";p=1", .afterQuote), ("\"a\", \"b\"", .afterQuote), ("\"a\\b\"", .escape), ("a b", .character),
            ("\"a b\"", .character), ("a\u{7F}", .character), ("a\u{E4}", .character), ("\"a\u{E4}\"", .character),
            ("a\t", .character), ("a,b", .separator), ("a\"b", .separator), ("a;b", .separator),
        ] as [(String, IdempotencyKey.Malformed)] { #expect(Self.read(text) == .failure(reason), "\(text)") }
    }

    @Test("IdempotencyKey: each reason is a sentence of its own")
    func reasons() {
        let rules = IdempotencyKey.Malformed.allCases.map(\.rule)
        #expect(Set(rules).count == rules.count)
    }
}
