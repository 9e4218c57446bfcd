internal import HTTP
internal import Bytes

/// A final response of the upstream, as it is sent again to a request with the same key.
package struct StoredResponse: Equatable, Sendable {
    package struct Field: Equatable, Sendable {
        package let name: String
        package let value: String

        package init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
    }

    package let status: Int
    /// Empty if the response has none.
    package let contentType: String
    package let fields: [Field]
    /// `nil` if the body was too large to be kept.
    package var body: [UInt8]?
    /// The code of the envelope; `nil` if the response is not an error.
    package let errorCode: String?

    package init(
        status: Int, contentType: String, fields: [Field] = [], body: [UInt8]?, errorCode: String? = nil
    ) {
        self.status = status
        self.contentType = contentType
        self.fields = fields
        self.body = body
        self.errorCode = errorCode
    }

    /// A larger body is not kept.
    package static let maxBodyBytes = 64 << 10
    /// If the fields are larger, the body is not kept, and neither are they.
    package static let maxFieldBytes = 4 << 10

    /// The memory that it takes besides that of every record.
    var cost: Int { fields.reduce(body?.count ?? 0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 32 } }

    /// The response without its body, to remember that there was one.
    var withoutBody: StoredResponse {
        StoredResponse(status: status, contentType: "", body: nil, errorCode: errorCode)
    }

    /// What a response of the upstream with this status means for the record. `response` is what the client got, whose status an
    /// error rule may have changed; `nil` if it did not get all of it. `isTurnedAway`: the upstream says that it is
    /// not at work on the request, and nothing else can tell.
    package static func event(
        upstream status: Int, isTurnedAway: Bool, _ response: StoredResponse?
    ) -> IdempotencyState.Event {
        switch status {
        case 200...299: response.map { .responded($0) } ?? .lost
        case _ where HTTPStatus.leavesWorkOpen(status): .lost
        case 400...499:
            if let response, isFinal(status), isFinal(response.status) { .responded(response) } else { .foundNothing }
        default: isTurnedAway ? .foundNothing : .lost
        }
    }

    /// Whether an error with this status is the last word on the request, so that it is sent again. The others depend on the
    /// credential, the time or another request.
    private static func isFinal(_ status: Int) -> Bool {
        switch status {
        case 401, 403, 407, 409, 421, 423, 425, 429: false
        default: status < 500
        }
    }

    /// Whether a field belongs to the response itself, and not to its transfer, the request's trace, the limits, or one client's
    /// session. The gateway writes those anew, and a cookie must not be on disk.
    static func isKept(_ name: String) -> Bool {
        ![
            "date", "age", "content-length", "content-type", "set-cookie", "server", "via", "x-trace-id",
            "x-policy-version",
        ]
        .contains { name.spells($0) }
            && !["ratelimit", "x-ratelimit-", "x-rate-limit-"].contains { name.begins(with: $0) }
    }
}
