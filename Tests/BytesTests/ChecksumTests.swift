import Bytes
import Testing

@Suite("Checksums")
struct ChecksumTests {
    /// What the catalogues of checksums give as "check".
    private let check = Array("123456789".utf8)

    @Test("Checksum: CRC-32 of the check bytes is what the standard says")
    func crc32() {
        #expect(CRC32.checksum(of: check.span) == 0xCBF4_3926)
        #expect(CRC32().value == 0)
    }

    @Test("Checksum: CRC-32C of the check bytes is what the standard says")
    func crc32c() {
        #expect(CRC32C.checksum(of: check.span) == 0xE306_9283)
        #expect(CRC32C.checksum(of: [UInt8](repeating: 0, count: 32).span) == 0x8A91_36AA)
        #expect(CRC32C().value == 0)
    }

    @Test("Checksum: Adler-32 of a known text is what the standard says")
    func adler32() {
        #expect(Adler32.checksum(of: Array("Wikipedia".utf8).span) == 0x11E6_0398)
        #expect(Adler32.checksum(of: [UInt8]().span) == 1)
        #expect(Adler32.checksum(of: [UInt8](repeating: 0xFF, count: 100_000).span) == 0x149A_302C)
    }

    @Test("Checksum: a checksum of parts is that of the whole, wherever it is cut")
    func parts() {
        for cut in 0...check.count {
            var (crc32, crc32c) = (CRC32(), CRC32C())
            crc32.add(check.span.extracting(0..<cut))
            crc32c.add(check.span.extracting(0..<cut))
            crc32.add(check.span.extracting(cut..<check.count))
            crc32c.add(check.span.extracting(cut..<check.count))
            #expect(crc32.value == 0xCBF4_3926)
            #expect(crc32c.value == 0xE306_9283)
        }
    }

    @Test("Checksum: CRC-32C of a number is that of its bytes, the lowest first")
    func number() {
        var sum = CRC32C()
        sum.add(0x3837_3635_3433_3231 as UInt64)
        sum.add(0x39 as UInt8)
        #expect(sum.value == 0xE306_9283)
    }
}
