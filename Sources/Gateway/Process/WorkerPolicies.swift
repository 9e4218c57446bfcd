internal import HTTP
internal import Policy
internal import Transport

/// A policy set as one worker uses it, with values that are computed once and not for each request.
final class WorkerPolicies {
    let set: PolicySet
    /// Tells this one from all others of the process.
    let serial = SerialNumber.next()
    /// `X-Policy-Version: ...` with its line end, and what stands before the trace id.
    let beforeTraceID: [UInt8]
    let shortVersion: String
    /// Shared with the other workers.
    let limitTexts: RateLimitTexts
    let listenerSettings: Listener.Settings
    let accessLog: GatewaySettings.AccessLog
    /// The worker's counters by the index of the route.
    private let counters: [OperationMetrics]
    private let unrouted: OperationMetrics

    init(_ set: PolicySet, limitTexts: RateLimitTexts, counts: WorkerMetrics) {
        self.set = set
        self.limitTexts = limitTexts
        shortVersion = set.shortVersion
        beforeTraceID = Array("X-Policy-Version: \(shortVersion)\r\nX-Trace-Id: ".utf8)
        accessLog = set.settings.accessLog
        counters = set.routes.routes.map { counts.operation($0.id) }
        unrouted = counts.operation("none")
        let settings = set.settings
        listenerSettings = Listener.Settings(
            timeouts: ServerTimeouts(
                handshake: settings.timeouts.handshake, head: settings.timeouts.head,
                body: settings.timeouts.bodyProgress, wholeBody: settings.timeouts.body, idle: settings.timeouts.idle,
                write: settings.timeouts.write),
            headLimits: HeadLimits(
                targetBytes: settings.sizes.targetBytes, headBytes: settings.sizes.headBytes,
                fields: settings.sizes.headers),
            // Held over all workers, by `OpenConnections`.
            maximumConnections: .max,
            maximumRequestsPerConnection: settings.connections.requests ?? .max,
            maximumAge: settings.connections.age)
    }

    /// Whether this peer is a trusted proxy, whose fields name the client.
    func trusts(_ peer: String) -> Bool {
        let ranges = set.settings.trustedProxies
        guard !ranges.isEmpty, let bytes = IPAddress.bytes(of: peer) else { return false }
        return ranges.contains { $0.contains(bytes) }
    }

    /// Where requests on `route` are counted; those that met no route are counted as `none`.
    func counters(of route: Route?) -> OperationMetrics { route.map { counters[$0.index] } ?? unrouted }
}
