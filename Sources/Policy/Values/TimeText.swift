/// Points in time as other services write them.
package enum TimeText {
    /// Milliseconds since the epoch of an RFC 3339 time; what is finer is dropped. One without an offset, as Python writes it,
    /// is in UTC.
    package static func epochMilliseconds(_ text: String) -> Int64? {
        guard text.utf8.count <= 40, let seconds = Units.time(text) ?? Units.time(text + "Z") else { return nil }
        return seconds * 1000 + milliseconds(text)
    }

    /// Seconds since the epoch of a time as policies write it: with an offset, or the start of a day.
    package static func epochSeconds(ofPolicy text: String) -> Int64? { Units.time(text) }

    /// The fraction of a second of what is known to be a time: only there does a time have a full stop.
    private static func milliseconds(_ text: String) -> Int64 {
        guard let stop = text.utf8.firstIndex(of: UInt8(ascii: ".")) else { return 0 }
        var (value, scale): (Int64, Int64) = (0, 100)
        for byte in text.utf8[stop...].dropFirst() {
            guard (0x30...0x39).contains(byte) else { break }
            value += Int64(byte - 0x30) * scale
            scale /= 10
        }
        return value
    }
}
