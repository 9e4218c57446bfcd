internal import Bytes
internal import Connectors
internal import Gateway
internal import HTTP
internal import Transport

/// A response, and whether the connection closes after it.
struct ConnectorReply {
    var response: ConnectorResponse
    var closesConnection = false

    init(_ response: ConnectorResponse) { self.response = response }

    /// The response to a failure outside the service, in the envelope that the service uses.
    init(_ failure: Failure, trace: TraceContext, isAirweave: Bool) {
        let error = ErrorResponse(.failure(failure))
        response = ConnectorResponse(status: error.status)
        if let seconds = error.retryAfterSeconds { response.headers.append(("Retry-After", "\(seconds)")) }
        ErrorEnvelope.append(
            error, traceID: trace.traceID, epochMilliseconds: Int64(wallClockNanoseconds() / 1_000_000),
            addsDetail: isAirweave, to: &response.body)
        closesConnection = error.closesConnection
    }
}

extension ConnectorResponse {
    /// Appends the response, as HTTP/1.1, to a request with `head`.
    func append(dateLine: [UInt8], closes: Bool, head: borrowing RequestHead, to output: inout [UInt8]) {
        output += HTTPStatus.line(status)
        output += dateLine
        let hasBody = !HTTPStatus.hasNoBody(status)
        if hasBody {
            output += ConnectorResponse.jsonLine
            output.append(decimal: body.count)
            output += ConnectorResponse.lineEnd
        }
        for (name, value) in headers { output += Array("\(name): \(value)\r\n".utf8) }
        if closes {
            output += ConnectorResponse.closeLine
        } else if head.isHTTP10 {
            // An HTTP/1.0 client closes the connection without this field (RFC 9112, section 9.3).
            output += ConnectorResponse.keepAliveLine
        }
        output += ConnectorResponse.lineEnd
        // The response to HEAD has the length of the GET response, but no body (RFC 9110, section 9.3.2).
        if hasBody, head.method != .head { output += body }
    }

    private static let jsonLine = Array("Content-Type: application/json\r\nContent-Length: ".utf8)
    private static let closeLine = Array("Connection: close\r\n".utf8)
    private static let keepAliveLine = Array("Connection: keep-alive\r\n".utf8)
    private static let lineEnd = Array("\r\n".utf8)
}
