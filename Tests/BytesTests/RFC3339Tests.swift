import Bytes
import Testing

@Suite("RFC 3339")
struct RFC3339Tests {
    @Test(
        "RFC3339: a time is read to the millisecond, with an offset",
        arguments: [
            ("2024-06-15T10:00:00Z", 1_718_445_600_000), ("2024-06-15t10:00:00.5z", 1_718_445_600_500),
            ("2024-06-15T10:00:00.999999999Z", 1_718_445_600_999),
            ("2024-06-15T12:00:00.250+02:00", 1_718_445_600_250), ("2024-06-15T05:30:00.001-04:30", 1_718_445_600_001),
            ("2024-06-15", 1_718_409_600_000), ("1969-12-31T23:59:59.250Z", -750),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999), ("0000-01-01", -62_167_219_200_000),
        ] as [(String, Int64)])
    func strict(text: String, milliseconds: Int64) {
        #expect(RFC3339.epochMilliseconds(text) == milliseconds)
        #expect(RFC3339.epochMilliseconds(text, [.missingOffset, .iso8601]) == milliseconds)
        #expect(RFC3339.epochSeconds(text) == Int64((Double(milliseconds) / 1000).rounded(.down)))
    }

    @Test(
        "RFC3339: a time without an offset is in UTC where that is said",
        arguments: [
            ("2024-06-15T10:00:00", 1_718_445_600_000), ("2024-06-15T10:00:00.07", 1_718_445_600_070),
            ("2024-06-15T10:00:00.123456", 1_718_445_600_123),
        ] as [(String, Int64)])
    func missingOffset(text: String, milliseconds: Int64) {
        #expect(RFC3339.epochMilliseconds(text, .missingOffset) == milliseconds)
        #expect(RFC3339.epochMilliseconds(text, .iso8601) == nil)
        #expect(RFC3339.epochMilliseconds(text) == nil)
    }

    @Test(
        "RFC3339: more of ISO 8601 is read where that is said",
        arguments: [
            ("2024-02-29T23:59:59-0130", 1_709_256_599_000), ("2024-01-01T00:00:00+02", 1_704_060_000_000),
            ("2024-06-15 10:30Z", 1_718_447_400_000), ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ] as [(String, Int64)])
    func iso8601(text: String, milliseconds: Int64) {
        #expect(RFC3339.epochMilliseconds(text, .iso8601) == milliseconds)
        #expect(RFC3339.epochMilliseconds(text, .missingOffset) == nil)
        #expect(RFC3339.epochMilliseconds(text) == nil)
    }

    @Test(
        "RFC3339: what is no time is none, however lenient the reader",
        arguments: [
            "", ".5", "yesterday", "1704060000", "2024-13-01", "2024-06-31", "2023-02-29", "2024-06-15T",
            "2024-06-15T10:00:00.", "2024-06-15T10:00:00.Z", "2024-06-15T10:00:00.5.5Z", "2024-06-15T10:00:00.x",
            "2024-06-15T25:00:00Z", "2024-06-15T10:60:00Z", "2024-06-15T10:00:61Z", "2024-01-01T00:00:00Zx",
            "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00+01:60", "2024-01-01T00:00:00+1", "+024-01-01",
            "2024-06-15T10:00:00.123456789012345678901234567890Z",
        ])
    func refused(text: String) {
        #expect(RFC3339.epochMilliseconds(text, [.missingOffset, .iso8601]) == nil)
        #expect(RFC3339.epochSeconds(text) == nil)
    }

    @Test(
        "RFC3339: a time is written in UTC, its fraction only where there is one",
        arguments: [
            (784_111_777_000, "1994-11-06T08:49:37Z"),
            (0, "1970-01-01T00:00:00Z"),
            (-1_000, "1969-12-31T23:59:59Z"),
            (1_709_209_999_000, "2024-02-29T12:33:19Z"),
            (253_402_300_799_000, "9999-12-31T23:59:59Z"),
            (-61_000_000_000_000, "0036-12-26T11:33:20Z"),
            (784_111_777_250, "1994-11-06T08:49:37.250Z"), (-1, "1969-12-31T23:59:59.999Z"),
        ] as [(Int64, String)])
    func text(milliseconds: Int64, text: String) {
        #expect(RFC3339.text(epochMilliseconds: milliseconds) == text)
        #expect(RFC3339.epochMilliseconds(text) == milliseconds)
    }

    @Test(
        "RFC3339: a time stamp always has milliseconds",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"), (1_735_689_599_001, "2024-12-31T23:59:59.001Z"),
            (-1, "1969-12-31T23:59:59.999Z"), (4_102_444_800_000, "2100-01-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func timestamp(milliseconds: Int64, text: String) {
        var out: [UInt8] = []
        out.append(timestamp: milliseconds)
        #expect(String(decoding: out, as: UTF8.self) == text)
    }
}
