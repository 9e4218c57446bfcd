internal import Bytes
internal import Connectors
internal import Gateway
internal import HTTP
internal import Transport

/// A request to the standalone connector service: its organization, its operation and its trace.
///
/// The service trusts the gateway before it: the organization is the value of `X-Gateway-Organization`. The gateway
/// sends this field with every request and accepts it from no client. Without the field, the organization of the path
/// counts, so that `curl` is enough for a try. If the two differ, the response is the 404 of a connection that does not
/// exist: one organization must not learn what another one has.
struct ConnectorCall {
    private let method: HTTPMethod
    private let target: [UInt8]
    private let route: ConnectorRoute
    private let organization: String
    private let trace: TraceContext
    /// The gateway's field is empty, or there are two.
    private let isOrganizationAmbiguous: Bool

    init(_ request: borrowing Request, random: inout FastRandom) {
        let head = request.head
        let bytes = request.headBytes
        method = head.method
        target = bytes.array(head.originForm)
        route = ConnectorRoute(target)
        if let range = head.traceparent {
            trace = TraceContext(traceparent: bytes.extracting(range), random: &random)
        } else {
            trace = TraceContext(random: &random)
        }
        var named: [String] = []
        for field in head.fields where bytes.spells("x-gateway-organization", in: field.nameRange) {
            named.append(bytes.text(field.value))
        }
        // An empty field is the error of a gateway that knows no organization: the path must not replace it.
        isOrganizationAmbiguous = named.count > 1 || named.first == ""
        let ofPath = route.organization.map {
            bytes.text(head.path.lowerBound + $0.lowerBound..<head.path.lowerBound + $0.upperBound)
        }
        organization = named.first ?? ofPath ?? ""
    }

    /// The owner whose share of the body memory the request uses.
    var owner: ShareOwner { ShareOwner(organization: organization) }

    func request(with body: [UInt8]) -> ConnectorRequest {
        ConnectorRequest(
            method: method.name, target: target, route: route, organization: organization, body: body,
            traceID: trace.traceID.text)
    }

    /// The response to a read, or a refusal for the head alone; `nil` if the body or the disk is needed.
    func tryRespond(by service: ConnectorService) -> ConnectorReply? {
        if isHealthProbe { return ConnectorReply(ConnectorResponse(status: 200, body: ConnectorCall.alive)) }
        if isOrganizationAmbiguous {
            return answer(to: Failure(.invalidIdentifier(name: "X-Gateway-Organization"), at: .authorize))
        }
        return service.respond(to: request(with: [])).map { ConnectorReply($0) }
    }

    func answer(to failure: Failure) -> ConnectorReply {
        ConnectorReply(failure, trace: trace, isAirweave: route.isAirweave)
    }

    private var isHealthProbe: Bool {
        (method == .get || method == .head) && target.prefix { $0 != .questionMark }.elementsEqual("/healthz".utf8)
    }

    private static let alive = Array(#"{"status":"ok"}"#.utf8)
}
