/// A response's head as offsets into the bytes it was parsed from.
///
/// One value is reused for all responses of a connection, so a steady connection allocates nothing.
package struct ResponseHead: Sendable {
    /// From 100 to 599, but never 101.
    package internal(set) var status = 0
    /// 0 for HTTP/1.0, 1 for everything above.
    package internal(set) var minorVersion: UInt8 = 1
    /// The reason phrase as sent; it may be empty.
    package internal(set) var reason: Range<Int> = 0..<0
    /// The field lines in the order they came.
    package internal(set) var fields: [HeadField] = []
    /// Where the body ends; also `.none` for an empty body and for a response to HEAD.
    package internal(set) var framing: BodyFraming = .none
    /// The value of Content-Length, also of a 304 or a response to HEAD, which have no body. A 1xx or 204 has none.
    package internal(set) var announcedLength: UInt64?
    /// The upstream keeps the connection open for another response.
    package internal(set) var keepsAlive = true
    /// Connection names fields that are not forwarded (RFC 9110, section 7.6.1); `close` and `keep-alive` are no names.
    package internal(set) var nominatesFields = false
    /// The length of the head with its empty line: the body starts here.
    package internal(set) var end = 0
    /// The values of singleton fields. A repeated field is an empty range: it is unclear which line is valid.
    package internal(set) var contentType: Range<Int>?
    package internal(set) var contentEncoding: Range<Int>?
    package internal(set) var retryAfter: Range<Int>?
    package internal(set) var location: Range<Int>?

    /// An empty head, for a parser to fill.
    package init() {}

    /// Another head follows before the final response (RFC 9110, section 15.2).
    package var isInterim: Bool { status < 200 }

    /// Lends storage for field lines while the connection is busy.
    package mutating func adoptStorage(_ storage: [HeadField]) { fields.adoptStorage(storage) }

    /// Returns the storage, without the field lines.
    package mutating func takeStorage() -> [HeadField] { fields.takeStorage() }

    /// The values of every field line of that name, in order.
    package func values(of name: FieldName) -> some Sequence<Range<Int>> { fields.values(of: name) }

    mutating func reset() {
        status = 0
        minorVersion = 1
        reason = 0..<0
        fields.removeAll(keepingCapacity: true)
        framing = .none
        announcedLength = nil
        keepsAlive = true
        nominatesFields = false
        end = 0
        contentType = nil
        contentEncoding = nil
        retryAfter = nil
        location = nil
    }
}
