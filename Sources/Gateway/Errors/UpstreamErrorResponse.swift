internal import JSON
package import Policy

/// An upstream's error response, before it is put into the envelope.
package struct UpstreamErrorResponse: Sendable {
    package let status: Int
    /// The value of `Content-Type`; empty if there was none. It is only reported, because upstreams send JSON as
    /// `text/html` and HTML as `application/json`.
    package let contentType: String
    /// The body without content coding, or the part of it that the gateway read.
    package let body: [UInt8]
    /// Whether `body` is incomplete.
    package let isTruncated: Bool
    /// The fields of the head, without hop-by-hop fields.
    package let fields: [(name: String, value: String)]

    package init(
        status: Int, contentType: String, body: [UInt8], isTruncated: Bool = false,
        fields: [(name: String, value: String)] = []
    ) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.isTruncated = isTruncated
        self.fields = fields
    }

    /// The body as JSON; `nil` if it is not JSON, or exceeds the limits.
    var json: JSONValue? {
        // A byte order mark may be ignored (RFC 8259, section 8.1).
        let start = body.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        return try? JSONValue.read(body.span.extracting(start..<body.count), limits: Self.limits)
    }

    /// Well below the limits of JSON readers: the envelope can contain the body twice, at a greater depth.
    private static let limits = JSONLimits(depth: 32, values: 4000)

    /// The first rule that matches this error. `json` is the body.
    func rule(of rules: [ErrorRule], _ json: JSONValue?) -> ErrorRule? {
        rules.first { rule in
            guard rule.statuses.contains(status) else { return false }
            return rule.matches(status: status, text: rule.field.flatMap { text(at: $0, in: json) })
        }
    }

    /// The text that a rule compares: a string, or the source text of a number or boolean, at a path. The empty path is
    /// the whole body, with invalid UTF-8 replaced.
    private func text(at path: [String], in json: JSONValue?) -> String? {
        if path.isEmpty { return String(decoding: body, as: UTF8.self) }
        var value = json
        for name in path { value = value?[name] }
        switch value?.kind {
        case .string(let text): return text
        case .number(let number): return number.text
        case .bool(let flag): return flag ? "true" : "false"
        case .null, .array, .object, nil: return nil
        }
    }
}

extension UpstreamFailure {
    /// The failure for a status with which the upstream rejects the gateway's credential; `nil` for other statuses.
    ///
    /// A 407 always rejects the gateway's credential, because the gateway is the proxy. A 401 does so unless the client's
    /// own credential was sent upstream. A 403 does not: the upstream knows the caller, and does not permit the request.
    package static func unauthenticated(
        status: Int, credential: UpstreamSettings.Credential
    ) -> UpstreamFailure? {
        switch status {
        case 407: .credentialRefused
        case 401: credential == .pass ? nil : .credentialRefused
        default: nil
        }
    }
}
