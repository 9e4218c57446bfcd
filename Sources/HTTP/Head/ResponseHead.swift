/// A response's head as offsets into the bytes it was parsed from.
///
/// One value is reused for all responses of a connection, so that a steady connection allocates nothing.
package struct ResponseHead: Sendable {
    /// From 100 to 599, but never 101.
    package internal(set) var status = 0
    /// 0 for HTTP/1.0, 1 for everything above.
    package internal(set) var minorVersion: UInt8 = 1
    /// The reason phrase as sent; it may be empty.
    package internal(set) var reason: Range<Int> = 0..<0
    /// The field lines in the order they came.
    package internal(set) var fields: [HeadField] = []
    /// Where the body ends; `.none` as well for a body of no bytes, and in answer to HEAD.
    package internal(set) var framing: BodyFraming = .none
    /// What Content-Length says: of a 304 or an answer to HEAD, too, which have no body. A 1xx or 204 has none.
    package internal(set) var announcedLength: UInt64?
    /// The connection may carry another response after this one, as far as the upstream is concerned.
    package internal(set) var keepsAlive = true
    /// Connection names fields that end here with it (RFC 9110, section 7.6.1); `close` and `keep-alive` name none.
    package internal(set) var nominatesFields = false
    /// How many bytes the head took, its empty line included: where the body starts.
    package internal(set) var end = 0
    /// The values of single fields of interest. A field that stands twice is an empty range: nobody knows which one holds.
    package internal(set) var contentType: Range<Int>?
    package internal(set) var contentEncoding: Range<Int>?
    package internal(set) var retryAfter: Range<Int>?
    package internal(set) var location: Range<Int>?

    /// An empty head, for a parser to fill.
    package init() {}

    /// Another head follows before the response proper (RFC 9110, section 15.2).
    package var isInterim: Bool { status < 200 }

    /// Room for field lines, lent from somewhere else while the connection is busy.
    package mutating func lend(_ room: [HeadField]) { fields.lend(room) }

    /// Gives the room back; the field lines are forgotten.
    package mutating func takeRoom() -> [HeadField] { fields.takeRoom() }

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
