internal import HTTP
internal import Policy
internal import Transport

// Every way a request can end without success becomes a response here; what it says is decided by `ErrorResponse` alone.
extension Worker {
    func answer(to rejection: Rejection, _ exchange: borrowing Exchange) -> Response {
        response(ErrorResponse(rejection), exchange)
    }

    /// The upstream's error in the documented envelope, with the fields it brought for the client.
    func answer(toUpstreamError answer: UpstreamResponse, _ exchange: inout Exchange) -> Response {
        let error = UpstreamErrorResponse(
            status: answer.status, contentType: answer.contentType, body: answer.body, isCut: answer.isCut,
            fields: answer.fields)
        let normalized = NormalizedError(
            error, rules: exchange.route?.errors ?? [], showsUpstream: remote?.settings.showsErrors ?? false,
            epochSeconds: epochSeconds)
        exchange.upstreamText = normalized.upstreamText
        return response(normalized.response, exchange, fields: normalized.fields)
    }

    /// `fields` are those an upstream brought.
    private func response(
        _ error: ErrorResponse, _ exchange: borrowing Exchange, fields: [(name: String, value: String)] = []
    ) -> Response {
        var response = Response(status: error.status, errorCode: error.code, closesConnection: error.closesConnection)
        ErrorEnvelope.append(
            error, traceID: exchange.trace.traceID, epochMilliseconds: milliseconds(),
            addsDetail: exchange.family == .airweave, to: &response.body)
        if let seconds = error.retryAfterSeconds { response.fields.append((name: "Retry-After", value: "\(seconds)")) }
        if let challenge = error.authenticate {
            var value: [UInt8] = []
            challenge.append(realm: "connectors", to: &value)
            response.fields.append((name: "WWW-Authenticate", value: String(decoding: value, as: UTF8.self)))
        }
        if let allow = error.allow { response.fields.append((name: "Allow", value: allow)) }
        if let location = error.location { response.fields.append((name: "Location", value: location)) }
        response.fields += fields
        // After the upstream's own: the last member is the one nearest to the client (RFC 9209, section 2).
        if error.proxyError != nil || error.receivedStatus != nil {
            let member = ProxyStatus(error: error.proxyError, receivedStatus: error.receivedStatus)
            response.fields.append((name: "Proxy-Status", value: member.text))
        }
        return response
    }

    /// What somebody gets who speaks plain HTTP on the TLS port: the envelope, and no hint whether a token was good.
    func answerToPlainText() -> [UInt8] {
        let exchange = Exchange(trace: TraceContext(random: &random), policies: policies, startedAt: loop.now)
        let response = answer(to: .failure(Failure(.plainHTTP, at: .connect)), exchange)
        var bytes: [UInt8] = []
        appendHead(of: response, for: exchange, .close, to: &bytes)
        return bytes + response.body
    }
}
