import Policy
import Testing

@Suite("Addresses and their ranges")
struct AddressRangeTests {
    private static func ranges(_ texts: String) throws -> [AddressRange] {
        try policySet(
            "{ gateway: { trustedProxies: [\(texts)] }, routes: { a: { match: \"GET /\", public: true } } }"
        ).settings.trustedProxies
    }

    private static let loopback6 = [UInt8](repeating: 0, count: 15) + [1]
    private static let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]

    @Test("AddressRange: a range is the address and the length of its prefix")
    func reading() throws {
        #expect(
            try Self.ranges("\"10.0.0.0/8\", \"192.0.2.7\", \"::1\", \"2001:db8::/32\", \"0.0.0.0/0\"") == [
                AddressRange(bytes: [10, 0, 0, 0], prefixBits: 8), AddressRange(bytes: [192, 0, 2, 7], prefixBits: 32),
                AddressRange(bytes: Self.loopback6, prefixBits: 128),
                AddressRange(bytes: [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 12), prefixBits: 32),
                AddressRange(bytes: [0, 0, 0, 0], prefixBits: 0),
            ])
        let mapped = try Self.ranges("\"::ffff:10.0.0.0/104\", \"::ffff:10.0.0.1\"")
        #expect(
            mapped == [
                AddressRange(bytes: [10, 0, 0, 0], prefixBits: 8), AddressRange(bytes: [10, 0, 0, 1], prefixBits: 32),
            ])
    }

    @Test("AddressRange: every prefix length splits the addresses where it should", arguments: 0...32)
    func prefixes(bits: Int) {
        var bytes: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF]
        for bit in bits..<32 { bytes[bit / 8] &= ~(0x80 >> UInt8(bit % 8)) }
        let range = AddressRange(bytes: bytes, prefixBits: bits)
        #expect(range.contains([0xFF, 0xFF, 0xFF, 0xFF]))
        #expect(range.contains(bytes))
        for bit in 0..<32 {
            var other: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF]
            other[bit / 8] ^= 0x80 >> UInt8(bit % 8)
            #expect(range.contains(other) == (bit >= bits))
        }
    }

    @Test("AddressRange: an IPv4-mapped IPv6 address is the IPv4 address, and no other family is in a range")
    func families() {
        let ten = AddressRange(bytes: [10, 0, 0, 0], prefixBits: 8)
        #expect(ten.contains(Self.mapped + [10, 1, 2, 3]))
        #expect(!ten.contains(Self.mapped + [11, 1, 2, 3]))
        #expect(!ten.contains(Self.loopback6))
        #expect(!ten.contains([]))
        let everything6 = AddressRange(bytes: [UInt8](repeating: 0, count: 16), prefixBits: 0)
        #expect(everything6.contains(Self.loopback6))
        #expect(!everything6.contains([127, 0, 0, 1]))
        #expect(!everything6.contains(Self.mapped + [10, 1, 2, 3]))
    }

    @Test(
        "AddressRange: an address is read as RFC 4291 writes it",
        arguments: [
            ("0.0.0.0", [0, 0, 0, 0]), ("255.1.2.30", [255, 1, 2, 30]),
            ("::", [UInt8](repeating: 0, count: 16)), ("::1", loopback6), ("0:0:0:0:0:0:0:1", loopback6),
            ("1::", [0, 1] + [UInt8](repeating: 0, count: 14)),
            ("1:2:3:4:5:6:7:8", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]),
            ("1:2:3:4:5:6:7::", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0]),
            ("::2:3:4:5:6:7:8", [0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]),
            ("fe80::ABCD:1", [0xFE, 0x80] + [UInt8](repeating: 0, count: 10) + [0xAB, 0xCD, 0, 1]),
            ("::ffff:10.1.2.3", mapped + [10, 1, 2, 3]),
            ("::10.1.2.3", [UInt8](repeating: 0, count: 12) + [10, 1, 2, 3]),
            ("1:2:3:4:5:6:10.1.2.3", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 10, 1, 2, 3]),
        ] as [(String, [UInt8])])
    func addresses(text: String, bytes: [UInt8]) {
        #expect(IPAddress.bytes(of: text) == bytes)
    }

    @Test(
        "AddressRange: a text that only some parsers read as an address is refused",
        arguments: [
            "", "1", "127.1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.+4", "1.2.3.4 ", " 1.2.3.4",
            "1.2.3.",
            "0x7f.0.0.1", ":", ":::", "1:::2", "::1::", ":1::2", "1::2:", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
            "1:2:3:4::5:6:7:8", "::12345", "::g", "::+1", "fe80::1%eth0", "[::1]", "1.2.3.4::", "1.2.3.4:5::",
            "::1.2.3",
            "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "\u{661}.2.3.4", "::\u{661}",
        ])
    func invalid(text: String) {
        #expect(IPAddress.bytes(of: text) == nil)
    }
}
