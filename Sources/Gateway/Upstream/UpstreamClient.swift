internal import Crypto
internal import HTTP
internal import Policy
internal import Transport

/// One worker's client of the remote upstream: its connections, and the choice of an endpoint.
///
/// Used on its worker's loop only.
final class UpstreamClient {
    let loop: EventLoop
    let cluster: UpstreamCluster
    /// Unique within the process.
    let serial = SerialNumber.next()
    private var pools: [EndpointPool] = []
    private var version = UInt64.max
    /// The settings that every request needs, without their strings.
    let timeouts: UpstreamSettings.Timeouts
    private let responseTimeout: Timeout
    private let totalTimeout: Timeout
    let passesHost: Bool
    /// The client's fields that are not forwarded, by whether the client's peer is a trusted proxy.
    let droppedOfTrusted: FieldNameSet
    let droppedOfStrangers: FieldNameSet
    let passesCredential: Bool
    /// The name of the field that holds the gateway's credential, in lower case.
    private let credentialName: [UInt8]
    /// The gateway's fields that are the same in each request: its credential, if there is one, and `Via`.
    let constantFields: [UInt8]
    /// Where the search for an endpoint starts. It advances, so that equally loaded endpoints take turns.
    private var turn = 0

    /// An endpoint and this worker's unused connections to it.
    struct EndpointPool {
        let endpoint: Endpoint
        let connections: ConnectionPool
    }

    init(loop: EventLoop, cluster: UpstreamCluster) {
        self.loop = loop
        self.cluster = cluster
        timeouts = cluster.settings.timeouts
        responseTimeout = Timeout(cluster.settings.timeouts.responseHead)
        totalTimeout = Timeout(cluster.settings.timeouts.total)
        passesHost = cluster.settings.host == .client
        passesCredential = cluster.settings.credential == .pass
        credentialName = cluster.configuration.credential?.name ?? []
        var credentials: FieldNameSet = passesCredential ? [] : ForwardedFields.credentials
        let own = FieldName(spelledAs: String(decoding: credentialName, as: UTF8.self))
        if own != .other { credentials.insert(own) }
        droppedOfTrusted = ForwardedFields.alwaysDropped.union(credentials)
        droppedOfStrangers = ForwardedFields.droppedFromStrangers.union(credentials)
        constantFields = (cluster.configuration.credential?.line ?? []) + ForwardedFields.via
    }

    var settings: UpstreamSettings { cluster.settings }

    /// The limits of an upstream's response head.
    static let headLimits = HeadLimits(headBytes: 65_536, fields: 200)

    /// Checks out an unused connection, if there is only one endpoint and it is healthy.
    func tryCheckOut() -> CheckedOutConnection? {
        takeChanges()
        guard pools.count == 1, pools[0].endpoint.isHealthy, let connection = pools[0].connections.take(now: loop.now)
        else {
            return nil
        }
        pools[0].endpoint.began()
        return CheckedOutConnection(pools[0], connection, isReused: true, isProbe: false)
    }

    /// Checks out a connection to the least loaded endpoint: an unused one, or a new one. `reuses: false` requests a new one.
    ///
    /// If the connection cannot be made, another endpoint is tried within the retry budget, because nothing has been
    /// sent yet.
    func checkOut(
        reuses: Bool, connectWithin timeout: Duration? = nil, unlessClosing client: SocketReadiness?
    ) async throws(Failure) -> CheckedOutConnection {
        takeChanges()
        var refused: [Endpoint] = []
        var last: ConnectFailure?
        while true {
            guard let (pool, isProbe) = choose(avoiding: refused) else {
                throw last.map { Failure($0) }
                    ?? Failure(.upstream(cluster.reasonForNone), at: .forward, retryAfterSeconds: secondsToNextProbe)
            }
            if reuses, let connection = pool.connections.take(now: loop.now) {
                pool.endpoint.began()
                return CheckedOutConnection(pool, connection, isReused: true, isProbe: isProbe)
            }
            do throws(ConnectFailure) {
                return try await connect(
                    to: pool, asProbe: isProbe, within: timeout ?? timeouts.connect, unlessClosing: client)
            } catch {
                refused.append(pool.endpoint)
                last = error
                guard error.isEndpointsFault, refused.count < pools.count, cluster.limiter.mayRetry(now: loop.now)
                else {
                    throw Failure(error)
                }
            }
        }
    }

    /// The time until a probe may start, when all endpoints are ejected.
    private var secondsToNextProbe: Int? {
        guard let soonest = pools.compactMap(\.endpoint.opensAt).min() else { return nil }
        let left = soonest > loop.now ? soonest.nanoseconds - loop.now.nanoseconds : 0
        return min(max(1, Int((left + 999_999_999) / 1_000_000_000)), 60)
    }

    private func connect(
        to pool: EndpointPool, asProbe isProbe: Bool, within timeout: Duration, unlessClosing client: SocketReadiness?
    ) async throws(ConnectFailure) -> CheckedOutConnection {
        let endpoint = pool.endpoint
        endpoint.began()
        do throws(ConnectFailure) {
            let connection = try await UpstreamConnection.connect(
                to: target(endpoint), on: loop, timeout: timeout, limits: UpstreamClient.headLimits,
                unlessClosing: client)
            return CheckedOutConnection(pool, connection, isReused: false, isProbe: isProbe)
        } catch {
            var outcome = Endpoint.Outcome.unknown
            if error.isEndpointsFault, case .upstream(let failure) = Failure(error).kind {
                outcome = .unreachable(failure)
            }
            endpoint.ended(outcome, asProbe: isProbe, now: loop.now)
            throw error
        }
    }

    /// Acquires a permit for a request in flight, if one is free.
    func tryAcquire(_ share: inout PermitShare) -> UpstreamPermit? {
        cluster.limiter.tryAcquire(now: loop.now, &share)
    }

    /// Waits for a permit. Call it after `tryAcquire` returned `nil`.
    func waitForPermit(_ share: inout PermitShare) async throws(Failure) -> UpstreamPermit {
        do throws(UpstreamFailure) {
            return try await cluster.limiter.waitForPermit(on: loop, before: loop.now + timeouts.queue, &share)
        } catch { throw Failure(error) }
    }

    /// Acquires a permit for a status poll. Waits until the queue timeout of the policies.
    func acquirePollPermit(for organization: String, before deadline: Instant) async throws(Failure) -> UpstreamPermit {
        var share = PermitShare(ShareOwner(organization: organization))
        do throws(UpstreamFailure) {
            return try await cluster.pollLimiter.acquire(
                on: loop, before: min(loop.now + timeouts.queue, deadline), &share)
        } catch { throw Failure(error) }
    }

    /// Whether the upstream could read a field of this name as a credential.
    func isCredential(_ name: Span<UInt8>) -> Bool {
        ReservedField.isRead(name, as: ReservedField.apiKey) || ReservedField.isRead(name, as: credentialName)
    }

    /// The deadline for the response head of a request that has just been sent.
    func responseDeadline(of route: Route) -> Instant {
        if let own = route.timeouts.responseHead { loop.now + own } else { loop.now + responseTimeout }
    }

    /// The timeout for the response head, stored in the lease.
    func responseTimeout(for route: Route) -> Duration { route.timeouts.responseHead ?? timeouts.responseHead }

    /// The deadline for the end of the response to a request that began at `start`.
    func end(of route: Route, from start: Instant) -> Instant {
        if let own = route.timeouts.total { start + own } else { start + totalTimeout }
    }

    /// The longest time without progress of a body, in either direction.
    func bodyProgress(of route: Route) -> Duration { route.timeouts.bodyProgress ?? timeouts.bodyProgress }

    func target(_ endpoint: Endpoint) -> UpstreamConnection.Target {
        UpstreamConnection.Target(
            address: endpoint.address, tls: endpoint.url.isTLS ? cluster.configuration.tls : nil,
            serverName: settings.tls.serverName ?? endpoint.url.host)
    }

    /// The least loaded endpoint. If all are ejected, one of them for a probe as soon as one is allowed; else `nil`.
    private func choose(avoiding refused: [Endpoint]) -> (pool: EndpointPool, isProbe: Bool)? {
        turn &+= 1
        return choose(avoiding: refused, isNeeded: false) ?? choose(avoiding: refused, isNeeded: true)
    }

    private func choose(avoiding refused: [Endpoint], isNeeded: Bool) -> (pool: EndpointPool, isProbe: Bool)? {
        var best: EndpointPool?
        var minLoad = Int.max
        for offset in pools.indices {
            let pool = pools[(turn + offset) % pools.count]
            let endpoint = pool.endpoint
            let load = endpoint.load
            guard load < minLoad || !endpoint.isHealthy, !refused.contains(where: { $0 === endpoint }) else { continue }
            switch endpoint.admission(now: loop.now, isNeeded: isNeeded) {
            case .refused: continue
            // A half-open endpoint needs one request as its probe, whatever its load.
            case .probe: return (pool, true)
            case .admitted where load < minLoad:
                best = pool
                minLoad = load
            case .admitted: continue
            }
        }
        return best.map { ($0, false) }
    }

    /// Takes over changed endpoints from the cluster. The connections to removed ones close when they are no longer in use.
    private func takeChanges() {
        let version = cluster.version
        guard version != self.version else { return }
        self.version = version
        let known = pools
        pools = cluster.current.map { endpoint in
            known.first { $0.endpoint === endpoint }
                ?? EndpointPool(
                    endpoint: endpoint,
                    connections: ConnectionPool(limit: settings.connections.idle, idleTime: settings.timeouts.idle))
        }
    }

    /// Closes connections that have been unused for too long, and connections to removed endpoints.
    func sweep() {
        takeChanges()
        for pool in pools { pool.connections.sweep(now: loop.now) }
    }
}

/// A connection that is used for one exchange with an endpoint. When it is dropped, it reports the outcome to the endpoint.
struct CheckedOutConnection: ~Copyable {
    let connection: UpstreamConnection
    let isReused: Bool
    private let pool: UpstreamClient.EndpointPool
    /// Whether the request is a probe of the endpoint.
    private let isProbe: Bool
    /// What the exchange has shown about the endpoint.
    var outcome = Endpoint.Outcome.unknown

    init(_ pool: UpstreamClient.EndpointPool, _ connection: UpstreamConnection, isReused: Bool, isProbe: Bool) {
        self.pool = pool
        self.isProbe = isProbe
        self.connection = connection
        self.isReused = isReused
    }

    deinit { pool.endpoint.ended(outcome, asProbe: isProbe, now: connection.loop.now) }

    var endpoint: Endpoint { pool.endpoint }

    /// The exchange is over. The connection returns to the pool if it can be reused.
    consuming func giveBack() { pool.connections.give(connection) }
}

extension ConnectFailure {
    /// Whether the failure is about the endpoint, and not about the client or this machine.
    fileprivate var isEndpointsFault: Bool {
        switch self {
        case .refused, .unreachable, .deadlinePassed, .tls: true
        case .abandoned, .local: false
        }
    }
}

extension UpstreamFailure {
    /// Why a handshake failed.
    init(_ error: TLSError) {
        switch (error.operation, error.cause) {
        case (.verify, _): self = .certificate
        case (_, .alert): self = .tlsAlert
        default: self = .tls
        }
    }
}

extension Failure {
    init(_ failure: ConnectFailure) {
        switch failure {
        case .refused: self.init(UpstreamFailure.connectionRefused)
        case .unreachable: self.init(UpstreamFailure.unreachable)
        case .deadlinePassed: self.init(UpstreamFailure.connectTimeout)
        case .abandoned: self.init(.clientGone, at: .forward)
        case .tls(let error):
            self.init(UpstreamFailure(error))
        case .local: self.init(UpstreamFailure.localExhaustion)
        }
    }
}
