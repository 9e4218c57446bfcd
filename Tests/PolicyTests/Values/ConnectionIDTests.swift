import Policy
import Testing

@Suite("The key of a connection")
struct ConnectionIDTests {
    @Test(
        "ConnectionID: an id keeps its spelling, except that a UUID has only one",
        arguments: [
            ("conn_abc123", "conn_abc123"), ("ca_1", "ca_1"), ("A", "A"), ("Conn-ABC.~", "Conn-ABC.~"), ("...", "..."),
            (".a", ".a"),
            ("550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
            ("550E8400-E29B-41d4-A716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
            ("550e8400e29b41d4a716446655440000", "550e8400-e29b-41d4-a716-446655440000"),
            ("550E8400E29B41D4A716446655440000", "550e8400-e29b-41d4-a716-446655440000"),
            ("550E8400-E29B-41D4-A716-44665544000G", "550E8400-E29B-41D4-A716-44665544000G"),
            ("550E8400E-29B-41D4-A716-446655440000", "550E8400E-29B-41D4-A716-446655440000"),
            ("550E8400E29B41D4A71644665544000", "550E8400E29B41D4A71644665544000"),
            ("550E8400E29B41D4A7164466554400000", "550E8400E29B41D4A7164466554400000"),
        ])
    func spelling(raw: String, key: String) {
        #expect(canonical(Array(raw.utf8)) == key)
    }

    @Test(
        "ConnectionID: what cannot be an id has no key",
        arguments: [
            "", ".", "..", "a/b", "a b", "a%20b", "a\\b", "a;b", "a:b", "{550e8400-e29b-41d4-a716-446655440000}",
            "conn\u{e9}", "a\0", "a\n",
            "urn:uuid:550e8400-e29b-41d4-a716-446655440000", "a+b", "a?b", "a#b", "\"a\"",
        ])
    func invalid(raw: String) {
        #expect(canonical(Array(raw.utf8)) == nil)
    }

    @Test("ConnectionID: an id has at most 128 bytes")
    func length() {
        #expect(canonical([UInt8](repeating: 0x61, count: 128)) != nil)
        #expect(canonical([UInt8](repeating: 0x61, count: 129)) == nil)
    }

    @Test("ConnectionID: a key is its own key, and exactly the unreserved bytes are allowed")
    func stable() {
        for byte in UInt8.min...UInt8.max {
            let isAllowed =
                Array("-._~".utf8).contains(byte) || (byte < 0x80 && Unicode.Scalar(byte).properties.isAlphabetic)
                || (0x30...0x39).contains(byte)
            let key = canonical([0x61, byte])
            #expect((key != nil) == isAllowed)
            if let key { #expect(canonical(Array(key.utf8)) == key) }
        }
    }
}

private func canonical(_ raw: [UInt8]) -> String? { ConnectionID.canonical(raw.span) }
