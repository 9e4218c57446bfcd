internal import HTTP
internal import Policy
internal import Transport

// Renders all error responses. `ErrorResponse` decides their content.
extension ErrorResponse {
    /// The documented envelope with its fields. `fields` are the upstream's.
    func rendered(
        for exchange: borrowing Exchange, _ clock: WallClock, fields: [(name: String, value: String)] = []
    ) -> Response {
        var response = Response(status: status, errorCode: code, closesConnection: closesConnection)
        ErrorEnvelope.append(
            self, traceID: exchange.trace.traceID, epochMilliseconds: clock.milliseconds,
            addsDetail: exchange.family == .airweave, to: &response.body)
        response.retryAfterSeconds = retryAfterSeconds
        if let seconds = retryAfterSeconds { response.fields.append((name: "Retry-After", value: "\(seconds)")) }
        if let challenge = authenticate {
            var value: [UInt8] = []
            challenge.append(realm: "connectors", to: &value)
            response.fields.append((name: "WWW-Authenticate", value: String(decoding: value, as: UTF8.self)))
        }
        if let allow { response.fields.append((name: "Allow", value: allow)) }
        if let location {
            response.fields.append((name: "Location", value: location))
            // Where the state of the job can be watched. RFC 5989 defines the relation.
            response.fields.append((name: "Link", value: "<\(location)>; rel=\"monitor\""))
        }
        if let jobCap {
            // draft-ietf-httpapi-ratelimit-headers, section 3.1.2: a quota of requests at the same time.
            response.fields.append(
                (name: "RateLimit-Policy", value: "\"\(jobCap.name)\";q=\(jobCap.max);qu=\"concurrent-requests\""))
            response.fields.append(
                (name: "RateLimit", value: "\"\(jobCap.name)\";r=0;t=\(retryAfterSeconds ?? 1)"))
        }
        response.fields += fields
        // After the upstream's members: the last member is the proxy nearest to the client (RFC 9209, section 2).
        if proxyError != nil || receivedStatus != nil {
            let member = ProxyStatus(error: proxyError, receivedStatus: receivedStatus)
            response.fields.append((name: "Proxy-Status", value: member.text))
        }
        return response
    }
}
