/// A request's head as offsets into the bytes it was parsed from.
///
/// Offsets, not strings: nobody pays for a copy of a line nobody reads. One value is reused for all requests of a
/// connection, so that a steady connection allocates nothing.
package struct RequestHead: Sendable {
    package internal(set) var method: HTTPMethod = .get
    /// The request target as sent.
    package internal(set) var target: Range<Int> = 0..<0
    /// The path of the target, raw: never decoded, never normalized. For `OPTIONS *` it is the asterisk.
    package internal(set) var path: Range<Int> = 0..<0
    /// What follows the `?`, if there is one.
    package internal(set) var query: Range<Int>?
    /// 0 for HTTP/1.0, 1 for everything above.
    package internal(set) var minorVersion: UInt8 = 1
    /// The field lines in the order they came.
    package internal(set) var fields: [HeadField] = []
    /// Where the body ends; `.none` as well for a body of no bytes.
    package internal(set) var framing: BodyFraming = .none
    /// The connection may carry another request after this one, as far as the client is concerned.
    package internal(set) var keepsAlive = true
    /// Connection names fields that end here with it (RFC 9110, section 7.6.1); `close` and `keep-alive` name none.
    package internal(set) var nominatesFields = false
    /// The client waits for an interim answer before it sends its body (RFC 9110, section 10.1.1).
    package internal(set) var expectsContinue = false
    /// How many bytes the head took, its empty line included: where the body starts.
    package internal(set) var end = 0
    /// The values of singular fields of interest. A request with two of one is refused.
    package internal(set) var authorization: Range<Int>?
    package internal(set) var apiKey: Range<Int>?
    /// Empty where there are several, which count as none.
    package internal(set) var traceparent: Range<Int>?
    package internal(set) var organizationID: Range<Int>?
    /// Host and port of the target where that names them, else of Host (RFC 9112, section 3.2.2).
    package internal(set) var host: Range<Int>?
    package internal(set) var contentType: Range<Int>?

    package init() {}

    /// Room for field lines, lent from somewhere else while the connection is busy.
    package mutating func lend(_ room: [HeadField]) { fields.lend(room) }

    /// Gives the room back; the field lines are forgotten.
    package mutating func takeRoom() -> [HeadField] { fields.takeRoom() }

    /// The target in origin-form, path and query, whatever form the client chose (RFC 9112, section 3.2.1).
    package var originForm: Range<Int> { path.lowerBound..<(query?.upperBound ?? path.upperBound) }

    package var isHTTP10: Bool { minorVersion == 0 }

    mutating func reset() {
        method = .get
        target = 0..<0
        path = 0..<0
        minorVersion = 1
        fields.removeAll(keepingCapacity: true)
        framing = .none
        keepsAlive = true
        nominatesFields = false
        expectsContinue = false
        query = nil
        authorization = nil
        apiKey = nil
        traceparent = nil
        organizationID = nil
        host = nil
        contentType = nil
        end = 0
    }

    /// The values of every field line of that name, in order.
    package func values(of name: FieldName) -> some Sequence<Range<Int>> { fields.values(of: name) }
}
