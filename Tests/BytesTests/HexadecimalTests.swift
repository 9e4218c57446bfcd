import Bytes
import Testing

@Suite("Hexadecimal numbers")
struct HexadecimalTests {
    private func read(_ digits: [UInt8]) -> UInt64? { UInt64(hex: digits.span) }

    @Test("Hexadecimal: every byte is the digit that the standard library takes it for")
    func digits() {
        for byte in UInt8.min...UInt8.max {
            let expected = byte < 0x80 ? Character(Unicode.Scalar(byte)).hexDigitValue : nil
            #expect(byte.hexDigitValue.map(Int.init) == expected)
            #expect(byte.isHexDigit == (expected != nil))
        }
    }

    @Test("Hexadecimal: a number is written in lower case with as many digits as are asked for, and read back")
    func roundTrip() {
        for value in [0, 1, 0xF, 0x10, 0xFF, 0xDEAD_BEEF, 0x0123_4567_89AB_CDEF, .max, .max << 60] as [UInt64] {
            let text = String(value, radix: 16)
            for digits in text.utf8.count...16 {
                var out: [UInt8] = []
                out.append(hex: value, digits: digits)
                #expect(
                    String(decoding: out, as: UTF8.self) == String(repeating: "0", count: digits - text.count) + text)
                #expect(read(out) == value)
            }
            #expect(read(Array(text.uppercased().utf8)) == value)
        }
    }

    @Test(
        "Hexadecimal: what is not all digits, or too long, is no number",
        arguments: ["", "+1", "-1", "0x1", "g", " 1", "1 ", "00000000000000000"])
    func refused(_ text: String) { #expect(read(Array(text.utf8)) == nil) }

    @Test("Hexadecimal: bytes have two digits each")
    func bytes() { #expect(String(hex: [0, 0x0A, 0xFF]) == "000aff") }
}
