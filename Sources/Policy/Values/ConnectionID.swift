internal import Bytes

/// The canonical spelling of a connection's id, the key of leases and buckets.
package enum ConnectionID {
    /// The maximum length of an id.
    package static let maxBytes = 128

    /// Returns the canonical id, or `nil` if `raw` is no id: the request gets 400.
    ///
    /// Ids are opaque, but every upstream reads a UUID in any case, with or without hyphens. Two spellings would give
    /// two leases on one connection.
    package static func canonical(_ raw: Span<UInt8>) -> String? {
        guard (1...maxBytes).contains(raw.count) else { return nil }
        for index in raw.indices where !raw[index].isUnreserved { return nil }
        // `.` and `..` are dot-segments, not names (RFC 3986, section 3.3).
        if raw[0] == UInt8(ascii: "."), raw.count == 1 || (raw.count == 2 && raw[1] == UInt8(ascii: ".")) { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(max(raw.count, 36))
        if isUUID(raw) {
            var digits = 0
            for index in raw.indices where raw[index] != UInt8(ascii: "-") {
                if [8, 12, 16, 20].contains(digits) { bytes.append(UInt8(ascii: "-")) }
                bytes.append(raw[index] | 0x20)
                digits += 1
            }
        } else {
            for index in raw.indices { bytes.append(raw[index]) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isUUID(_ raw: Span<UInt8>) -> Bool {
        guard raw.count == 36 || raw.count == 32 else { return false }
        for index in raw.indices {
            let hyphen = raw.count == 36 && (index == 8 || index == 13 || index == 18 || index == 23)
            guard hyphen ? raw[index] == UInt8(ascii: "-") : raw[index].isHexDigit else { return false }
        }
        return true
    }
}
