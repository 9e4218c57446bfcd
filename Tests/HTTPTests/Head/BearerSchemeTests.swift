import Testing

@testable import HTTP

@Suite("The scheme of a credential")
struct BearerSchemeTests {
    @Test(
        "Span.hasBearerScheme: the scheme in any case, one space, and something after it",
        arguments: ["Bearer a", "bearer a", "BEARER abcdefgh", "bEaReR  "])
    func bearer(value: String) { #expect(hasBearerScheme(value)) }

    @Test(
        "Span.hasBearerScheme: everything else is none",
        arguments: [
            "", "Bearer", "Bearer ", "Basic abc", "Bearer\ta", "Bearerx a", " Bearer a", "BeareR-a", "Cearer a",
        ])
    func other(value: String) { #expect(!hasBearerScheme(value)) }

    /// Asks with other bytes around the value, and with none after it.
    private func hasBearerScheme(_ value: String) -> Bool {
        let results = ["", "\r\n", "\r\nHost: example"].map { rest in
            let bytes = Array("x: \(value)\(rest)".utf8)
            return bytes.span.hasBearerScheme(3..<3 + value.utf8.count)
        }
        #expect(Set(results).count == 1, "what follows the value matters")
        return results[0]
    }
}
