import Testing

@testable import HTTP

@Suite("Bytes")
struct BytesTests {
    @Test(
        "Integers are written in decimal",
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
}
