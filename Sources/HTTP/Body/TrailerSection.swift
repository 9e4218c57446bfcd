internal import Bytes

/// Selects the trailers of a chunked body that may be forwarded (RFC 9110, section 6.5.1).
package enum TrailerSection {
    /// Appends the lines of `section` that may be forwarded, unchanged; the section is what `ChunkedDecoder` kept.
    ///
    /// No field that the gateway knows may: it frames, routes, authenticates or controls a message, and comes too late
    /// for a program that acted on the head. `isDropped` decides about all others. If the head's Connection nominates
    /// fields, the whole section should be dropped, which is always allowed.
    package static func append(
        _ section: Span<UInt8>, droppingOther isDropped: (Span<UInt8>, Range<Int>) -> Bool = { _, _ in false },
        to output: inout [UInt8]
    ) {
        var start = 0
        while let feed = section.firstIndex(of: .lineFeed, in: start..<section.count),
            let colon = section.firstIndex(of: .colon, in: start..<feed)
        {
            let name = start..<colon
            if FieldName.recognize(section, name) == .other, !isForbidden(section, name), !isDropped(section, name) {
                output.append(section, start..<feed + 1)
            }
            start = feed + 1
        }
    }

    private static func isForbidden(_ section: Span<UInt8>, _ name: Range<Int>) -> Bool {
        forbidden.contains { section.spells($0, in: name) }
    }

    /// Modifiers, conditions, credentials, locations and response controls that are not in `FieldName`.
    private static let forbidden = [
        "age", "cache-control", "content-location", "content-range", "cookie", "expires", "if-match",
        "if-modified-since",
        "if-none-match", "if-range", "if-unmodified-since", "link", "max-forwards", "pragma", "refresh",
        "proxy-authentication-info", "range", "vary",
        "warning",
    ]
}
