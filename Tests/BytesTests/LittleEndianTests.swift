import Bytes
import Testing

@Suite("Little-endian numbers")
struct LittleEndianTests {
    @Test("Little-endian numbers: a number has its lowest byte first")
    func order() {
        #expect((0x0403_0201 as UInt32).littleEndianBytes == [1, 2, 3, 4])
        #expect((-2 as Int64).littleEndianBytes == [0xFE] + [UInt8](repeating: 0xFF, count: 7))
    }

    @Test(
        "Little-endian numbers: a number is read back from where it stands",
        arguments: [0, 1, 0x80, .max, 0x0123_4567_89AB_CDEF] as [UInt64])
    func roundTrip(_ number: UInt64) {
        #expect(UInt64(littleEndian: [9] + number.littleEndianBytes + [9], at: 1) == number)
    }
}
