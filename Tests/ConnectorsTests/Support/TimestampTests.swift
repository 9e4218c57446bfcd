import Testing

@testable import Connectors

@Suite struct TimestampTests {
    @Test(
        "Timestamp: a date is read whatever its offset and precision",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("1970-01-01", 0), ("2024-01-01T00:00:00+02:00", 1_704_060_000_000),
            ("2024-06-15T10:30:00.5Z", 1_718_447_400_500), ("2024-02-29T23:59:59-0130", 1_709_256_599_000),
            ("1969-12-31T23:59:59.999Z", -1),
        ])
    func reads(text: String, milliseconds: Int) {
        #expect(Timestamp(iso8601: text)?.milliseconds == Int64(milliseconds))
    }

    @Test(
        "Timestamp: what is no date is refused",
        arguments: [
            "", "yesterday", "2024-13-01", "2023-02-29", "2024-01-01T25:00:00Z", "2024-01-01T00:00:00",
            "2024-01-01T00:00:00Zx", "2024-01-01T00:00:00.Z", "1704060000",
        ])
    func refuses(text: String) { #expect(Timestamp(iso8601: text) == nil) }

    @Test("Timestamp: every seventh day of four centuries is written as it is read")
    func roundTrip() {
        for day in stride(from: Int64(-20_000), to: 130_000, by: 7) {
            let moment = Timestamp(milliseconds: day * 86_400_000 + 12_345)
            #expect(Timestamp(iso8601: moment.iso8601) == moment)
        }
    }

    @Test(
        "Timestamp: a duration is ISO 8601",
        arguments: [
            (0, "PT0S"), (3200, "PT3.2S"), (150_000, "PT2M30S"), (3_600_000, "PT1H"), (61_001, "PT1M1.001S"),
        ])
    func duration(milliseconds: Int, text: String) {
        #expect(iso8601Duration(milliseconds: Int64(milliseconds)) == text)
    }
}
