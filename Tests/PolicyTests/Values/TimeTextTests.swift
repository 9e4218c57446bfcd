import Policy
import Testing

@Suite("Points in time as other services write them")
struct TimeTextTests {
    @Test(
        "Read to the millisecond, with a zone or in UTC",
        arguments: [
            ("2024-06-15T10:00:00Z", 1_718_445_600_000), ("2024-06-15T10:00:00", 1_718_445_600_000),
            ("2024-06-15T10:00:00.5Z", 1_718_445_600_500), ("2024-06-15T10:00:00.07", 1_718_445_600_070),
            ("2024-06-15T10:00:00.123456", 1_718_445_600_123), ("2024-06-15T10:00:00.999999999Z", 1_718_445_600_999),
            ("2024-06-15T12:00:00.250+02:00", 1_718_445_600_250), ("2024-06-15T05:30:00.001-04:30", 1_718_445_600_001),
            ("2024-06-15", 1_718_409_600_000), ("1969-12-31T23:59:59.250Z", -750),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ] as [(String, Int64)])
    func read(text: String, milliseconds: Int64) { #expect(TimeText.epochMilliseconds(text) == milliseconds) }

    @Test(
        "What is no time is none",
        arguments: [
            "", ".5", "2024-06-15T10:00:00.", "2024-06-15T10:00:00.Z", "2024-06-15T10:00:00.5.5Z", "2024-06-31",
            "2024-06-15T10:00:00.x", "2024-06-15T25:00:00Z", "2024-06-15T10:00:00.123456789012345678901234567890Z",
        ])
    func refused(text: String) { #expect(TimeText.epochMilliseconds(text) == nil) }
}
