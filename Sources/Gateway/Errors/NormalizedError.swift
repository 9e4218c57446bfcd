internal import JSON
package import Policy

/// The response to a client for an upstream's error: the documented envelope, with the upstream's fields that are kept.
package struct NormalizedError {
    /// Its status is from 400 to 599.
    package var response: ErrorResponse
    /// The kept fields of the upstream, in their order. `Retry-After` is in `response`, and so is a `WWW-Authenticate`
    /// that the upstream did not send.
    package var fields: [(name: String, value: String)]
    /// The upstream's own text, for the log only; `nil` if it has none.
    package let upstreamText: String?

    /// Keeps the status unless a rule changes it, and the upstream's code and message if there are any. The first rule
    /// that matches applies. For a 5xx only the code is kept, unless the policies show the upstream's errors.
    ///
    /// `showsOriginalError` is the policy field `upstream.errors`. A status below 400 becomes 502.
    package init(_ error: UpstreamErrorResponse, rules: [ErrorRule], showsOriginalError: Bool, epochSeconds: Int64) {
        let json = error.json
        let rule = error.rule(of: rules, json)
        let isShown = rule?.showsOriginalError ?? showsOriginalError
        let whole = UpstreamErrorParser(json, status: error.status)
        upstreamText = error.words(whole)
        let body = isShown || (400...499).contains(error.status) ? whole : whole.ofFailure
        let status = rule?.replacement.status ?? error.status

        response = ErrorResponse(upstreamStatus: (400...599).contains(status) ? status : 502)
        if let code = rule?.replacement.code ?? body.code { response.code = code }
        if let message = rule?.replacement.message ?? body.message { response.message = message }
        if rule?.replacement.message == nil { response.systemMessage = body.systemMessage }
        response.details = body.details
        if isShown { response.details.append(.init("upstream", error.original(json))) }
        response.receivedStatus = error.status

        fields = ErrorFieldFilter.kept(of: error.fields, status: response.status)
        response.retryAfterSeconds = Self.wait(response.status, error, rule, epochSeconds)
        // A 401 must have a challenge (RFC 9110, section 15.5.2).
        if response.status == 401, !fields.contains(where: { $0.name.spells("www-authenticate") }) {
            response.authenticate = .missing
        }
    }

    /// A 429 and a 503 always have a `Retry-After`, because clients try again at once without it.
    private static func wait(
        _ status: Int, _ error: UpstreamErrorResponse, _ rule: ErrorRule?, _ epochSeconds: Int64
    ) -> Int? {
        let requested = RetryAfter.seconds(in: error.fields, epochSeconds: epochSeconds)
        let isBusy = status == 429 || status == 503
        let reset = isBusy ? RetryAfter.limitReset(in: error.fields, epochSeconds: epochSeconds) : nil
        let usual = isBusy ? (status == 429 ? 1 : 2) : nil
        return requested ?? reset ?? rule?.replacement.retryAfterSeconds.map { max(1, $0) } ?? usual
    }
}

extension ErrorResponse {
    /// The row of the error catalogue for an upstream's status.
    fileprivate init(upstreamStatus status: Int) {
        self.init(ErrorCode.generic(forStatus: status))
        self.status = status
    }
}

extension UpstreamErrorResponse {
    /// The error as one bounded line for the log: the message, or else the start of the body; then the proxies that
    /// failed behind the gateway (RFC 9209).
    func words(_ body: UpstreamErrorParser) -> String? {
        let text = body.message ?? String(decoding: self.body.prefix(Self.wordsBytes), as: UTF8.self)
        let proxies = fields.filter { $0.name.spells("proxy-status") }.map(\.value).joined(separator: ", ")
        guard !proxies.isEmpty else { return DisplayText.line(text, limit: Self.wordsBytes) }
        let front = text.isEmpty ? "" : "\(DisplayText.front(of: text, limit: Self.wordsBytes / 2).text) "
        return DisplayText.line("\(front)Proxy-Status: \(proxies)", limit: Self.wordsBytes)
    }

    private static let wordsBytes = 512

    /// The original error for `details.upstream`. Its size is bounded, because an error page can be long.
    fileprivate func original(_ json: JSONValue?) -> ErrorDetail {
        var members: [ErrorDetail.Member] = [
            .init("status", .integer(status)),
            .init("content_type", DisplayText.line(contentType, limit: 256).map { .string($0) } ?? .null),
        ]
        var writer = JSONWriter()
        if let json { writer.value(json) }
        if json != nil, writer.bytes.count <= Self.shownBytes {
            members.append(.init("body", .json(writer.bytes)))
        } else {
            // Three more bytes keep the character at the limit complete. Bytes that are not UTF-8 grow when they are
            // replaced.
            let front = DisplayText.front(
                of: String(decoding: body.prefix(Self.shownBytes + 3), as: UTF8.self), limit: Self.shownBytes)
            members.append(.init("body", .string(front.text)))
            if isTruncated || front.isTruncated || body.count > Self.shownBytes {
                members.append(.init("truncated", .bool(true)))
            }
        }
        return .object(members)
    }

    private static let shownBytes = 8192
}
