/// A request's head as offsets into the bytes it was parsed from.
///
/// Offsets, not strings: lines that are not read are not copied. One value is reused for all requests of a connection,
/// so a steady connection allocates nothing.
package struct RequestHead: Sendable {
    package internal(set) var method: HTTPMethod = .get
    /// The request target as sent.
    package internal(set) var target: Range<Int> = 0..<0
    /// The path of the target, raw: never decoded, never normalized. For `OPTIONS *` it is the asterisk.
    package internal(set) var path: Range<Int> = 0..<0
    /// The part after the `?`, if there is one.
    package internal(set) var query: Range<Int>?
    /// 0 for HTTP/1.0, 1 for everything above.
    package internal(set) var minorVersion: UInt8 = 1
    /// The field lines in the order they came.
    package internal(set) var fields: [HeadField] = []
    /// Where the body ends; also `.none` for an empty body.
    package internal(set) var framing: BodyFraming = .none
    /// The client keeps the connection open for another request.
    package internal(set) var keepsAlive = true
    /// Connection names fields that are not forwarded (RFC 9110, section 7.6.1); `close` and `keep-alive` are no names.
    package internal(set) var nominatesFields = false
    /// The client waits for an interim response before it sends its body (RFC 9110, section 10.1.1).
    package internal(set) var expectsContinue = false
    /// The length of the head with its empty line: the body starts here.
    package internal(set) var end = 0
    /// The values of singleton fields. A request that repeats one is refused.
    package internal(set) var authorization: Range<Int>?
    /// The value of `x-api-key`.
    package internal(set) var apiKey: Range<Int>?
    /// Empty if there are several, which count as none.
    package internal(set) var traceparent: Range<Int>?
    /// The value of `X-Organization-ID`.
    package internal(set) var organizationID: Range<Int>?
    /// Host and port of the target if it names them, else of Host (RFC 9112, section 3.2.2).
    package internal(set) var host: Range<Int>?
    package internal(set) var contentType: Range<Int>?

    package init() {}

    /// Lends storage for field lines while the connection is busy.
    package mutating func adoptStorage(_ storage: [HeadField]) { fields.adoptStorage(storage) }

    /// Returns the storage, without the field lines.
    package mutating func takeStorage() -> [HeadField] { fields.takeStorage() }

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

    /// Whether there is a field line of that name.
    package func has(_ name: FieldName) -> Bool {
        for field in fields where field.name == name { return true }
        return false
    }

    /// The values of every field line of that name, in order.
    package func values(of name: FieldName) -> some Sequence<Range<Int>> { fields.values(of: name) }
}
