internal import Bytes

/// Which field lines behind a chunked body may go on (RFC 9110, section 6.5.1).
package enum TrailerSection {
    /// Appends those lines of `section` that may go on, byte for byte; the section is what `ChunkedDecoder` kept.
    ///
    /// None of the names the gateway knows may: they frame, route, authenticate or control a message, and the one that
    /// acted on its head would never see them. `isDropped` is asked about the others. Where the Connection of the head
    /// nominates fields the whole section should be dropped, which is always allowed.
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

    /// Names of modifiers, conditions, credentials, places and response control that are not among those the gateway knows.
    private static let forbidden = [
        "age", "cache-control", "content-location", "content-range", "cookie", "expires", "if-match",
        "if-modified-since",
        "if-none-match", "if-range", "if-unmodified-since", "link", "max-forwards", "pragma", "refresh",
        "proxy-authentication-info", "range", "vary",
        "warning",
    ]
}
