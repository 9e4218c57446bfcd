import HTTP
import Testing

@Suite("Reading dates of other servers")
struct HTTPDateParseTests {
    private static let now = 1_700_000_000

    @Test("HTTPDate, reading: what the gateway writes it reads")
    func roundTrip() {
        for seconds in stride(from: -11_644_473_600, to: 253_402_300_000, by: 91_483_691) {
            let text = HTTPDate.text(epochSeconds: seconds)
            #expect(HTTPDate.epochSeconds(text, now: Self.now) == seconds, "\(text)")
        }
    }

    @Test(
        "HTTPDate, reading: all three forms are read",
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777), ("Wed Nov 16 08:49:37 1994", 784_975_777),
            ("Thu, 29 Feb 2024 23:59:60 GMT", 1_709_251_200),
            // 2023 and 50 years.
            ("Sunday, 01-Jan-73 00:00:00 GMT", 3_250_454_400), ("Tuesday, 01-Jan-74 00:00:00 GMT", 126_230_400),
        ])
    func forms(text: String, seconds: Int) {
        #expect(HTTPDate.epochSeconds(text, now: Self.now) == seconds)
    }

    @Test(
        "HTTPDate, reading: a day has two digits, in asctime form a space and one (RFC 9110, section 5.6.7)",
        arguments: [
            "Sun, 6 Nov 1994 08:49:37 GMT", "Sun,  6 Nov 1994 08:49:37 GMT", "Sun, 006 Nov 1994 08:49:37 GMT",
            "Sun, 0006 Nov 1994 08:49:37 GMT", "Sunday, 6-Nov-94 08:49:37 GMT", "Sunday, 006-Nov-94 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994", "Sun Nov  06 08:49:37 1994", "Sun Nov  16 08:49:37 1994",
            "Sun Nov 006 08:49:37 1994", "Sun Nov   6 08:49:37 1994", "Sun Nov  0 08:49:37 1994",
            "Sun Nov  6 08:49:37 GMT",
        ])
    func day(text: String) {
        #expect(HTTPDate.epochSeconds(text, now: Self.now) == nil)
    }

    @Test(
        "HTTPDate, reading: between two words there is one space",
        arguments: [
            " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun,  06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994  08:49:37 GMT", "Sunday,  06-Nov-94 08:49:37 GMT", "Sun  Nov  6 08:49:37 1994",
            "Sun Nov  6  08:49:37 1994", "Sun Nov 16 08:49:37  1994",
        ])
    func spaces(text: String) {
        #expect(HTTPDate.epochSeconds(text, now: Self.now) == nil)
    }

    @Test(
        "HTTPDate, reading: everything else is no date",
        arguments: [
            "", " ", "17", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
            "sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 31 Feb 2024 08:49:37 GMT", "Sun, 29 Feb 2023 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov 1994 +8:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 6666 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 06-Nov 08:49:37 GMT", "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT GMT",
            "Sun, \u{661}\u{662} Nov 1994 08:49:37 GMT",
        ])
    func garbage(text: String) {
        #expect(HTTPDate.epochSeconds(text, now: Self.now) == nil)
    }
}
