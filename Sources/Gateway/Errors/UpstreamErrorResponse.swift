internal import JSON
package import Policy

/// An error as an upstream sent it, before it is put in our words.
package struct UpstreamErrorResponse: Sendable {
    package let status: Int
    /// The value of `Content-Type`, empty where there was none. Decides nothing: what the body is shows when it is read, and
    /// upstreams send JSON as `text/html` and HTML as `application/json`.
    package let contentType: String
    /// The body without content coding, as far as the gateway read it.
    package let body: [UInt8]
    /// Whether there was more of the body than that, or should have been.
    package let isCut: Bool
    /// The fields of its head, without those of the connection.
    package let fields: [(name: String, value: String)]

    package init(
        status: Int, contentType: String, body: [UInt8], isCut: Bool = false,
        fields: [(name: String, value: String)] = []
    ) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.isCut = isCut
        self.fields = fields
    }

    /// The body as JSON; `nil` where it is none, or more of it than an error needs.
    var json: JSONValue? {
        // A mark in front of it does no harm (RFC 8259, section 8.1).
        let start = body.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        return try? JSONValue.read(body.span.extracting(start..<body.count), limits: Self.limits)
    }

    /// Well below those of whoever reads the envelope, in which the body may stand twice, and a few levels deeper.
    private static let limits = JSONLimits(depth: 32, values: 4000)

    /// The first rule that is about this error; `json` is its body.
    func rule(of rules: [ErrorRule], _ json: JSONValue?) -> ErrorRule? {
        rules.first { rule in
            guard rule.statuses.contains(status) else { return false }
            return rule.matches(status: status, text: rule.field.flatMap { text(at: $0, in: json) })
        }
    }

    /// What a rule compares: the text at the end of a path, or a number or truth value there as it is written. At the empty
    /// path it is the whole body, in which what is not UTF-8 is replaced.
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
    /// The failure behind a status with which the upstream rejects the gateway's credential; `nil` for other statuses.
    ///
    /// A 407 always means the gateway, which is the upstream's proxy. A 401 means the gateway unless the client's own credential
    /// was sent upstream. A 403 is no failure of this kind: the upstream knows the caller, and does not permit the request.
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
