internal import HTTP
internal import Policy
internal import Transport

// The stages of a request, in the order of their work, and where each is written. `answer` runs them.
//
//  stage         | refuses with            | file
//  ------------- | ----------------------- | -------------------------------------------------
//  trace         | -                       | Tracing/TraceContext
//  route         | 404, 405, 400           | DecideStage, Policy/Model/RouteTable
//  authenticate  | 401                     | DecideStage, Policy/PolicySet
//  authorize     | 403                     | DecideStage, Policy/PolicySet
//  limit         | 429                     | LimitStage: `checkAttempt` before the body, `chargeWork` after it
//  read          | 400, 408, 413, 415, 422 | ReadStage
//  lease         | 409, 503                | LeaseStage
//  forward       | 502, 503, 504           | ForwardStage in process, Remote/Relay to a remote upstream
//  normalize     | -                       | NormalizeStage; Remote/ResponseRelay relays what is no error
//  respond       | -                       | HTTP1/ServerConnection+ClientStream
//  record        | -                       | RecordStage

/// The stages of a request, and what they share: each worker has one.
///
/// Data flows one way: a stage gets the request and what the stages before it found out, the exchange, and throws the failure
/// that ends the request. It sees the client as a `ClientStream`, whatever protocol that speaks.
///
/// `@unchecked Sendable`: used on its worker's thread only.
final class Pipeline: @unchecked Sendable {
    let loop: EventLoop
    let counts: WorkerMetrics
    let clock: WallClock
    /// What decides the requests that begin now.
    var policies: CompiledPolicies
    /// What is known of a remote upstream's jobs.
    private(set) var jobs: JobObserver?
    let heads: ResponseHeads
    /// Connections end as soon as nothing is under way on them.
    var isStopping = false
    var random = FastRandom()
    /// The second of the day, as the worker's clock last told it.
    private(set) var epochSeconds: Int64 = 0

    // Cut point: credentials are made and verified in `decider` alone. A verifier that asks somebody else goes before it.
    private let decider: DecideStage
    // Cut point: a store over the network goes behind `limits` and `leases`, which know `RateLimiter` and `LeaseTable`, the stores in
    // memory. Their lines in `answer` must wait then; so must a refund (`end`, `NormalizeStage`) and what settles a lease
    // (`NormalizeStage`, `ResponseRelay`, LeaseSync). `tryAnswer` must leave such requests to `answer`.
    private let limits: LimitStage
    private let leases: LeaseStage
    private let reader: ReadStage
    /// The connector service of this process; `nil` where the upstream is remote.
    private let local: ForwardStage?
    /// The way to a remote upstream; `nil` where it is in this process.
    private var remote: Relay?
    var recorder: RecordStage

    init(loop: EventLoop, shared: SharedState, policies: CompiledPolicies, counts: WorkerMetrics) {
        self.loop = loop
        self.counts = counts
        self.policies = policies
        clock = shared.clock
        heads = ResponseHeads(clock: clock)
        decider = DecideStage()
        limits = LimitStage(limiter: shared.limiter, counts: counts)
        leases = LeaseStage(leases: shared.leases, local: shared.local, clock: clock)
        reader = ReadStage(bodies: shared.bodies, local: shared.local)
        local = shared.local.map { [limits, clock] in
            ForwardStage(upstream: $0, normalizer: NormalizeStage(limits: limits, showsErrors: false, clock: clock))
        }
        recorder = RecordStage(counts: counts, log: shared.log, shares: shared.logShares, clock: clock)
        tick()
    }

    /// To be called several times a second.
    func tick() {
        let seconds = clock.seconds
        guard seconds != epochSeconds else { return }
        epochSeconds = seconds
        heads.tick(epochSeconds: seconds)
    }

    /// Where requests go that begin from now on; those under way keep their connections.
    func adopt(_ client: UpstreamClient?, _ jobs: JobObserver?) {
        self.jobs = jobs
        remote = client.map {
            Relay(
                loop: loop, client: $0, jobs: jobs, counts: counts, heads: heads,
                normalizer: NormalizeStage(limits: limits, showsErrors: $0.settings.showsErrors, clock: clock))
        }
    }

    /// The way to a remote upstream, for those who ask it on the gateway's own account.
    var client: UpstreamClient? { remote?.client }

    /// Answers the request at which `stream` is, with exactly one response.
    // Not inlined: its frame would be part of every connection's, idle ones included.
    @inline(never)
    func answer(_ stream: inout some ClientStream & ~Copyable, _ cache: inout ConnectionCache) async {
        var exchange = begin(stream.request)
        let response: Response
        switch decider.decide(stream.request, &exchange, &cache.credential, epochSeconds: epochSeconds) {
        case .forward(let grant):
            if let owner = grant.owner { stream.owner = owner }
            do throws(Failure) {
                try limits.checkAttempt(grant, stream.request, &exchange, now: loop.now)
                let body = try await reader.readBody(of: &stream, for: grant, isRemote: remote != nil, &exchange)
                try await reader.findConnection(in: body, of: stream.request, for: grant, jobs, &exchange)
                try limits.chargeWork(grant, &exchange, now: loop.now)
                let lease = try leases.take(grant, stream.request, over: remote?.client, &exchange)
                response = try await forward(body, for: grant, lease, &stream, &exchange, &cache.identity)
                await leases.recordCancellation(grant, stream.request, response)
            } catch { response = end(&exchange, with: error) }
        case .respond(let status, let grant):
            if let owner = grant.owner { stream.owner = owner }
            response = Response(status: status)
        case let decision: response = end(&exchange, with: decision)
        }
        if !respond(response, &exchange, &stream) { await finish(response, &exchange, &stream) }
        recorder.record(exchange, stream.request, response, client, now: loop.now)
    }

    /// Answers a read whose answer is in memory, or refuses it. `false`, and nothing done, for any other request.
    ///
    /// The stages of `answer` that a read meets, but on the thread's stack: a task keeps the frames of its async functions
    /// for as long as the connection lives, which would cost each idle one 13 KiB (`Tests/Benchmarks`, row "idle connection").
    func tryAnswer(_ stream: inout some ClientStream & ~Copyable, _ cache: inout ConnectionCache) -> Bool {
        guard let local, local.answersReadsFromMemory, stream.request.head.framing.isNone,
            stream.request.head.method.isSafe
        else { return false }
        var exchange = begin(stream.request)
        let response: Response
        switch decider.decide(stream.request, &exchange, &cache.credential, epochSeconds: epochSeconds) {
        case .forward(let grant):
            guard grant.route.lease == nil, !grant.needsConnection else { return false }
            if let owner = grant.owner { stream.owner = owner }
            do throws(Failure) {
                try limits.checkAttempt(grant, stream.request, &exchange, now: loop.now)
                try limits.chargeWork(grant, &exchange, now: loop.now)
                response = try local.tryForward(for: grant, stream, &exchange)
            } catch { response = end(&exchange, with: error) }
        case .respond(let status, let grant):
            if let owner = grant.owner { stream.owner = owner }
            response = Response(status: status)
        case let decision: response = end(&exchange, with: decision)
        }
        if !respond(response, &exchange, &stream) { stream.append(response.body) }
        recorder.record(exchange, stream.request, response, client, now: loop.now)
        return true
    }

    /// Answers bytes that never became a request.
    func refuse(_ stream: inout some ClientStream & ~Copyable, _ failure: Failure) async {
        var exchange = Exchange(trace: TraceContext(random: &random), policies: policies, startedAt: loop.now)
        counts.add(to: .headsRefused)
        exchange.failed(failure, counts)
        let response = ErrorResponse(.failure(failure)).rendered(for: exchange, clock)
        if !respond(response, &exchange, &stream) { await finish(response, &exchange, &stream) }
        recorder.record(exchange, stream.request, response, client, now: loop.now)
    }
}

// What stands between the stages.
extension Pipeline {
    private func begin(_ request: borrowing Request) -> Exchange {
        var exchange = Exchange(trace: trace(request), policies: policies, startedAt: .now())
        exchange.isHead = request.head.method == .head
        return exchange
    }

    private func trace(_ request: borrowing Request) -> TraceContext {
        guard let range = request.head.traceparent else { return TraceContext(random: &random) }
        return TraceContext(traceparent: request.headBytes.extracting(range), random: &random)
    }

    /// To the upstream, wherever it is, and back: what it answers is normalized.
    private func forward(
        _ body: ForwardedBody, for grant: Grant, _ lease: consuming Lease?,
        _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange, _ identity: inout IdentityFields
    ) async throws(Failure) -> Response {
        if let remote { return try await remote.relay(body, for: grant, lease, &identity, &stream, &exchange) }
        guard let local else { throw Failure(.internalError, at: .forward) }
        return try await local.forward(body, for: grant, lease, &stream, &exchange)
    }

    /// The request was granted and failed: what it had taken for work that never began is given back. A client that leaves, or
    /// stops half way, is not given it back once the upstream may have the request: it could have the work done for nothing.
    private func end(_ exchange: inout Exchange, with failure: Failure) -> Response {
        if !failure.mayHaveBegunWork, !(failure.origin == .client && exchange.isForwarded) {
            limits.refundWork(&exchange, now: loop.now)
        }
        exchange.failed(failure, counts)
        return ErrorResponse(.failure(failure)).rendered(for: exchange, clock)
    }

    /// The decision alone answers the request.
    private func end(_ exchange: inout Exchange, with decision: Decision) -> Response {
        switch decision {
        case .options(let allow, _): return Response(status: 204, fields: [(name: "Allow", value: allow)])
        case .refuse(let refusal):
            do throws(Failure) {
                try limits.checkAttempt(refusal, &exchange, now: loop.now, epochSeconds: epochSeconds)
            } catch { return end(&exchange, with: error) }
            exchange.endingStage = refusal.stage
            exchange.origin = .client
            return ErrorResponse(.refusal(refusal, credential: exchange.credentialField)).rendered(for: exchange, clock)
        case .forward, .respond: preconditionFailure("a grant is answered by the stages, or by its route")
        }
    }

    /// Writes head and body as one piece, so that a small response is one TLS record and one system call. `false` when there is
    /// more to do: see `finish`.
    private func respond(
        _ response: borrowing Response, _ exchange: inout Exchange, _ stream: inout some ClientStream & ~Copyable
    ) -> Bool {
        if response.isRelayed { return true }
        let start = stream.bytesWritten
        stream.begin(response, for: exchange, heads)
        let bodyBytes = exchange.hasBody(response) ? response.body.count : 0
        let isCopied = bodyBytes <= Pipeline.copiedBodyBytes
        if isCopied, bodyBytes > 0 { stream.append(response.body) }
        exchange.bytesOut = stream.bytesWritten - start + (isCopied ? 0 : bodyBytes)
        return isCopied && !(stream.hasUnreadBody && stream.canDiscardBody && !response.closesConnection)
    }

    /// Sends a body that is too large to be copied, and reads away a body that nobody asked for.
    private func finish(
        _ response: borrowing Response, _ exchange: inout Exchange, _ stream: inout some ClientStream & ~Copyable
    ) async {
        // The upstream has nothing to do with what is left.
        exchange.permit = nil
        if exchange.hasBody(response), response.body.count > Pipeline.copiedBodyBytes {
            guard await stream.flush(then: response.body, in: nil) else { return stream.mustClose() }
        }
        if !response.closesConnection, stream.canDiscardBody { await stream.discardBody() }
    }

    /// Bodies up to this size share their head's record; larger ones are sent from where they are.
    private static let copiedBodyBytes = 16_000
}
