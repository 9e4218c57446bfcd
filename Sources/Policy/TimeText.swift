/// Points in time as other services write them.
package enum TimeText {
    /// Seconds since the epoch of an RFC 3339 time. One without an offset, as Python writes it, is in UTC.
    package static func epochSeconds(_ text: String) -> Int64? {
        guard text.utf8.count <= 40 else { return nil }
        return Notation.time(text) ?? Notation.time(text + "Z")
    }
}
