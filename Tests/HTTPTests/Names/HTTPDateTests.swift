import Foundation
import HTTP
import Testing

@Suite("Dates")
struct HTTPDateTests {
    @Test("HTTPDate: the texts are those of RFC 9110", arguments: texts)
    func write(seconds: Int, date: String) {
        #expect(HTTPDate.text(epochSeconds: seconds) == date)
    }

    static let texts: [(Int, String)] = [
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (1_709_209_999, "Thu, 29 Feb 2024 12:33:19 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (-61_000_000_000, "Fri, 26 Dec 0036 11:33:20 GMT"),
    ]

    @Test("HTTPDate: dates are formatted as Foundation formats them")
    func textsAgainstFoundation() {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "UTC")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        for seconds in stride(from: 0, to: 4_000_000_000, by: 13_371_337) {
            let expected = formatter.string(from: Date(timeIntervalSince1970: TimeInterval(seconds)))
            #expect(HTTPDate.text(epochSeconds: seconds) == expected)
        }
    }
}
