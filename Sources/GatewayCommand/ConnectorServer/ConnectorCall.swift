import Connectors
import Gateway
import HTTP
import Transport

/// A request to the standalone connector service: who asks, for what, in which trace.
///
/// The service stands behind the gateway and believes it: the organization is what `X-Gateway-Organization` says, a field
/// that the gateway sends with every request and takes from no client. Without it the organization of the path counts, so
/// that a trial needs nothing but `curl`. Where the two differ the service answers 404, the same as for a connection that does
/// not exist: one organization must not learn what another one has.
struct ConnectorCall {
    private let method: HTTPMethod
    private let target: [UInt8]
    private let organization: String
    private let trace: TraceContext
    /// The gateway's field says nothing, or two things.
    private let isDoubtful: Bool

    init(_ connection: borrowing ServerConnection, random: inout FastRandom) {
        let head = connection.head
        let bytes = connection.headBytes
        method = head.method
        target = bytes.array(head.originForm)
        if let range = head.traceparent {
            trace = TraceContext(traceparent: bytes.extracting(range), random: &random)
        } else {
            trace = TraceContext(random: &random)
        }
        var named: [String] = []
        for field in head.fields where bytes.spells("x-gateway-organization", in: field.nameRange) {
            named.append(bytes.text(field.value))
        }
        // An empty field is the mistake of a gateway that knows no organization: the path must not stand in for it.
        isDoubtful = named.count > 1 || named.first == ""
        organization = named.first ?? ConnectorRoute(target).organization ?? ""
    }

    /// Whose share of the memory for bodies it counts against.
    var owner: ShareOwner { ShareOwner(organization: organization) }

    func request(with body: [UInt8]) -> ConnectorRequest {
        ConnectorRequest(
            method: method.name, target: target, organization: organization, body: body, traceID: trace.traceID.text)
    }

    /// The answer to a read, a refusal for the head alone, or `nil` where the body or the disk is needed.
    func tryAnswer(by service: ConnectorService) -> ConnectorAnswer? {
        if isHealthProbe { return ConnectorAnswer(ConnectorResponse(status: 200, body: ConnectorCall.alive)) }
        if isDoubtful { return answer(to: Failure(.invalidIdentifier(name: "X-Gateway-Organization"), at: .authorize)) }
        return service.respond(to: request(with: [])).map { ConnectorAnswer($0) }
    }

    func answer(to failure: Failure) -> ConnectorAnswer {
        ConnectorAnswer(failure, trace: trace, isAirweave: ConnectorRoute(target).isAirweave)
    }

    private var isHealthProbe: Bool {
        (method == .get || method == .head) && target.prefix { $0 != .questionMark }.elementsEqual("/healthz".utf8)
    }

    private static let alive = Array(#"{"status":"ok"}"#.utf8)
}

/// What is answered, and whether the connection can go on after it.
struct ConnectorAnswer {
    var response: ConnectorResponse
    var closesConnection = false

    init(_ response: ConnectorResponse) { self.response = response }

    /// A failure outside the service, in the envelope that the service uses.
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
    /// Appends the response as HTTP/1.1 to a request with `head`.
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
            // Such a client closes unless it is told (RFC 9112, section 9.3).
            output += ConnectorResponse.keepAliveLine
        }
        output += ConnectorResponse.lineEnd
        // The length of what a GET would get is told to a HEAD, and nothing more (RFC 9110, section 9.3.2).
        if hasBody, head.method != .head { output += body }
    }

    private static let jsonLine = Array("Content-Type: application/json\r\nContent-Length: ".utf8)
    private static let closeLine = Array("Connection: close\r\n".utf8)
    private static let keepAliveLine = Array("Connection: keep-alive\r\n".utf8)
    private static let lineEnd = Array("\r\n".utf8)
}
