import Bytes
import Testing

@Suite("Decimal numbers")
struct DecimalTests {
    private func read(_ text: String) -> Int? { Int(decimal: text.utf8.span) }

    @Test(
        "Decimal: integers are written in decimal",
        arguments: [
            (0, "0"), (7, "7"), (10, "10"), (-42, "-42"), (99_999_999, "99999999"), (100_000_000, "100000000"),
            (1_700_000_001, "1700000001"), (10_000_000_000_000_000, "10000000000000000"),
            (Int.max, "9223372036854775807"), (Int.min, "-9223372036854775808"),
        ])
    func decimal(_ value: Int, _ text: String) {
        var out: [UInt8] = []
        out.append(decimal: value)
        #expect(String(decoding: out, as: UTF8.self) == text)
    }

    @Test("Decimal: numbers of all lengths are written as Swift writes them")
    func allLengths() {
        var value: UInt64 = 1
        while true {
            for number in [value - 1, value, value + 1, value / 7 * 3, value ^ 0x5555] {
                var out: [UInt8] = []
                out.append(decimal: number)
                #expect(String(decoding: out, as: UTF8.self) == "\(number)")
            }
            let (next, isOver) = value.multipliedReportingOverflow(by: 3)
            if isOver { break }
            value = next
        }
        for number: UInt64 in 0..<10_000 {
            var out: [UInt8] = []
            out.append(decimal: number * 10_001)
            #expect(String(decoding: out, as: UTF8.self) == "\(number * 10_001)")
        }
    }

    @Test(
        "Decimal: tenths are written with one decimal",
        arguments: [(0, "0.0"), (9, "0.9"), (15, "1.5"), (12_340, "1234.0")])
    func tenths(_ value: UInt64, _ text: String) {
        var out: [UInt8] = []
        out.append(tenths: value)
        out.append(UInt8(ascii: ";"))
        out.append(tenths: .max)
        #expect(String(decoding: out, as: UTF8.self) == "\(text);1844674407370955161.5")
    }

    @Test(
        "Decimal: digits are read, leading zeros too",
        arguments: [("0", 0), ("007", 7), ("42", 42), ("999999999999999999", 999_999_999_999_999_999)])
    func reads(_ text: String, _ value: Int) { #expect(read(text) == value) }

    @Test(
        "Decimal: what is not all digits, or more than always fit, is no number",
        arguments: ["", "+1", "-1", " 1", "1 ", "1.0", "1e3", "0x1", "1,2", "1/", "1:", "1000000000000000000"])
    func refused(_ text: String) { #expect(read(text) == nil) }
}
