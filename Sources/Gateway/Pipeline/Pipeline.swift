internal import HTTP
internal import Policy
internal import Transport

// The stages of a request, in the order of their work: `handle` makes these calls. A test compares this table with `handle`, with
// README.md, with `Stage`, and with the failures that the stages throw.
//
//  stage         | ends a request with                    | call               | file
//  ------------- | -------------------------------------- | ------------------ | -----------------------------------------------
//  trace         | -                                      | openExchange       | Tracing/TraceContext
//  route         | 400, 404, 405                          | decide             | Pipeline/Stages/DecideStage, over a RouteTable
//  authenticate  | 400, 401, 429                          | decide             | Pipeline/Stages/DecideStage, over a PolicySet;
//                |                                        |                    | `chargeFailure` counts invalid credentials
//  authorize     | 403                                    | decide             | Pipeline/Stages/DecideStage, over a PolicySet
//  limit: calls  | 429                                    | chargeAttempt      | Pipeline/Stages/LimitStage; `peekWork` looks at work
//  read: key     | 400                                    | readKey            | Pipeline/Stages/KeyStage
//  read          | 400, 408, 413, 415, 503                | readBody           | Pipeline/Stages/ReadStage
//  admit: key    | 409, 422, 499                          | findResponse       | Pipeline/Stages/KeyStage, over an IdempotencyTable
//  resolve       | 400, 404, 422, 502, 503, 504           | resolve            | Pipeline/Stages/ResolveStage; may ask the upstream
//  confirm       | 400, 409                               | confirm            | Pipeline/Stages/ConfirmStage
//  admit         | 401, 403, 409, 429, 499, 503           | admit              | Pipeline/Stages/AdmitStage, over a MemoryAdmission;
//                |                                        |                    | `forward` awaits the journal
//  forward       | 400, 408, 409, 413, 499, 502, 503, 504 | forward            | Pipeline/Forward/ForwardTarget, then LocalForward
//                |                                        |                    | or RemoteForward; 400, 408, 413: the rest of a body
//  normalize     | the upstream's                         | forward            | Pipeline/Stages/NormalizeStage, called by both
//  admit: cancel | -                                      | recordCancellation | Pipeline/Stages/CancelStage
//  respond       | -                                      | respond            | Pipeline/Pipeline; a `ClientStream` writes it
//  record        | -                                      | record             | Pipeline/Stages/RecordStage
//
// Each stage from `read` on can also end a request with 500, if a result that an earlier stage must provide is missing.

/// The stages of a request, with the state that they share. Each worker has one pipeline.
///
/// Data flows in one direction: a stage gets the request and the exchange, which has the results of the earlier stages. It
/// throws the failure that ends the request. A stage sees the client as a `ClientStream`, independent of the protocol.
///
/// `@unchecked Sendable`: used on its worker's thread only.
final class Pipeline: @unchecked Sendable {
    let loop: EventLoop
    let counts: WorkerMetrics
    let clock: WallClock
    /// The policies that decide new requests.
    var policies: WorkerPolicies
    let heads: ResponseHeads
    let drain: Drain
    var random = FastRandom()
    /// The current time in seconds since the epoch, updated by ``tick()``.
    private(set) var epochSeconds: Int64 = 0

    // Cut point: a second protocol brings a `ClientStream` and a loop over its requests, as `HTTP1` beside this file has. It calls
    // `tryHandle`, `handle` and `refuse`; no stage changes.
    // Cut point: `decider` finds the credential of a request, and `PolicySet.authenticate` verifies it. A verifier that asks another
    // server, such as an identity provider, goes before `decider`.
    private let decider: DecideStage
    // Cut point: a store over the network is an `AdmissionStore` beside `MemoryAdmission`. The charge of calls, a refund
    // (`failureResponse`, `NormalizeStage`) and the conclusion of a lease (`NormalizeStage`, `RemoteForward`, LeaseSync) must then
    // wait, too, and `tryHandle` must leave such requests to `handle`.
    private let limits: LimitStage
    private let keys: KeyStage
    private let confirmer: ConfirmStage
    private let admission: AdmitStage
    private let cancellations: CancelStage
    private let dryRuns: DryRunStage
    private let reader: ReadStage
    private let resolver = ResolveStage()
    private var target: ForwardTarget
    var recorder: RecordStage

    init(loop: EventLoop, shared: SharedState, policies: WorkerPolicies, counts: WorkerMetrics) {
        self.loop = loop
        self.counts = counts
        self.policies = policies
        clock = shared.clock
        drain = shared.drain
        heads = ResponseHeads(clock: clock, drain: drain)
        decider = DecideStage()
        limits = LimitStage(limiter: shared.limiter, failures: shared.failedAuthentications, counts: counts)
        let fingerprints = RequestFingerprints()
        confirmer = ConfirmStage(confirmations: shared.confirmations, fingerprints: fingerprints, clock: clock)
        keys = KeyStage(
            records: shared.idempotency, fingerprints: fingerprints, waitingRoom: shared.waitingRoom, loop: loop,
            drain: shared.drain)
        admission = AdmitStage(
            store: MemoryAdmission(limiter: shared.limiter, leases: shared.leases, records: shared.idempotency),
            leases: shared.leases, keys: keys, limits: limits, fingerprints: fingerprints,
            waitingRoom: shared.waitingRoom, loop: loop, clock: clock, drain: shared.drain)
        cancellations = CancelStage(leases: shared.leases, local: shared.local)
        reader = ReadStage(bodies: shared.bodies)
        dryRuns = DryRunStage(limits: limits, reader: reader, resolver: resolver, admission: admission)
        target = .unavailable
        if let service = shared.local {
            let normalizer = NormalizeStage(limits: limits, showsOriginalError: false, secrets: [], clock: clock)
            target = .local(LocalForward(upstream: service, normalizer: normalizer))
        }
        recorder = RecordStage(counts: counts, log: shared.log, shares: shared.logShares, clock: clock)
        tick()
    }

    /// Updates the second. Call it several times a second.
    func tick() {
        let seconds = clock.seconds
        guard seconds != epochSeconds else { return }
        epochSeconds = seconds
        heads.tick(epochSeconds: seconds)
    }

    /// Switches to a new remote upstream. Requests in progress keep their connections. `jobs` observes the upstream's jobs.
    func adopt(_ client: UpstreamClient, _ jobs: JobObserver?) {
        let normalizer = NormalizeStage(
            limits: limits, showsOriginalError: client.settings.showsOriginalError,
            secrets: client.cluster.configuration.secrets, clock: clock)
        target = .remote(
            RemoteForward(
                loop: loop, client: client, jobs: jobs, counts: counts, heads: heads, normalizer: normalizer,
                clock: clock))
    }

    /// Drops the remote upstream with its unused connections, because the loop is about to end.
    func leaveUpstream() {
        if case .remote = target { target = .unavailable }
    }

    /// The client of a remote upstream, for the gateway's own requests.
    var client: UpstreamClient? { target.client }

    /// Answers the request at which `stream` is, with exactly one response.
    func handle(_ stream: inout some ClientStream & ~Copyable, _ cache: inout ClientConnectionCache) async {
        var exchange = openExchange(for: stream.request)
        let response: Response
        switch decider.decide(stream.request, &exchange, &cache.credential, epochSeconds: epochSeconds) {
        case .forward(let grant):
            if let owner = grant.owner { stream.owner = owner }
            do throws(Failure) {
                if DryRunStage.isWanted(by: stream.request) {
                    response = try await dryRuns.respond(to: grant, at: target, &stream, &exchange)
                    break
                }
                try limits.chargeAttempt(grant, &exchange, now: loop.now)
                try keys.readKey(grant, stream.request, &exchange)
                if !keys.hasRecord(exchange) {
                    try limits.peekWork(grant, stream.request, &exchange, now: loop.now)
                }
                let passesOn = target.takesBodyPieces
                let body = try await reader.readBody(of: &stream, for: grant, passesOn: passesOn, &exchange)
                // A call that may wait costs something, and most requests have no key.
                let isKeyed = exchange.keyed != nil
                if isKeyed, let earlier = try await keys.findResponse(grant, body, &stream, &exchange) {
                    try checkGrant(grant, stream.request, exchange, &cache.credential)
                    response = earlier
                } else {
                    try await resolver.resolve(grant, body, stream.request, at: target, &exchange)
                    let confirmed = try confirmer.confirm(grant, body, stream.request, exchange, now: loop.now)
                    switch try await admission.admit(grant, body, at: target, &stream, &exchange) {
                    case .responds(let own):
                        try checkGrant(grant, stream.request, exchange, &cache.credential)
                        response = own
                    case .begins(let lease):
                        try checkGrant(grant, stream.request, exchange, &cache.credential)
                        try confirmer.use(confirmed, grant, &exchange, now: loop.now)
                        if isKeyed { try await keys.waitUntilDurable(&exchange) }
                        response = try await target.forward(
                            body, for: grant, lease, &cache.identity, &stream, &exchange)
                        keys.conclude(response, &exchange)
                        await cancellations.recordCancellation(grant, stream.request, response)
                    }
                }
            } catch { response = failureResponse(to: error, &exchange) }
        case .respond(let status, let grant):
            if let owner = grant.owner { stream.owner = owner }
            response = Response(status: status)
        case .options(let allow, _): response = Response(status: 204, fields: [(name: "Allow", value: allow)])
        case .refuse(let refusal): response = refusalResponse(to: refusal, stream.request, &exchange)
        }
        if !respond(response, &exchange, &stream) { await finish(response, &exchange, &stream) }
        recorder.record(exchange, stream.request, response, now: loop.now)
    }

    /// Handles a read whose response is in memory, or refuses it. Returns `false`, without any effect, for other requests.
    ///
    /// Runs the stages of `handle` that apply to a read, in the call from `RequestLoop`. No task begins for it.
    func tryHandle(_ stream: inout some ClientStream & ~Copyable, _ cache: inout ClientConnectionCache) -> Bool {
        guard case .local(let local) = target, stream.request.head.framing.isNone,
            stream.request.head.method.isSafe
        else { return false }
        var exchange = openExchange(for: stream.request)
        let response: Response
        switch decider.decide(stream.request, &exchange, &cache.credential, epochSeconds: epochSeconds) {
        case .forward(let grant):
            guard grant.route.lease == nil, !grant.needsConnection, local.upstream.respondsFromMemory(grant.captures)
            else { return false }
            if let owner = grant.owner { stream.owner = owner }
            do throws(Failure) {
                try limits.chargeAttempt(grant, &exchange, now: loop.now)
                try limits.peekWork(grant, stream.request, &exchange, now: loop.now)
                try limits.chargeWork(grant, &exchange, now: loop.now)
                response = try local.tryForward(for: grant, stream, &exchange)
            } catch { response = failureResponse(to: error, &exchange) }
        case .respond(let status, let grant):
            if let owner = grant.owner { stream.owner = owner }
            response = Response(status: status)
        case .options(let allow, _): response = Response(status: 204, fields: [(name: "Allow", value: allow)])
        case .refuse(let refusal): response = refusalResponse(to: refusal, stream.request, &exchange)
        }
        if !respond(response, &exchange, &stream) { stream.append(response.body) }
        recorder.record(exchange, stream.request, response, now: loop.now)
        return true
    }

    /// Responds to bytes that never became a request.
    func refuse(_ stream: inout some ClientStream & ~Copyable, _ failure: Failure) async {
        counts.add(to: .headsRefused)
        var exchange = openExchange()
        let response = failureResponse(to: failure, &exchange)
        if !respond(response, &exchange, &stream) { await finish(response, &exchange, &stream) }
        recorder.record(exchange, stream.request, response, now: loop.now)
    }
}

// The steps between the stages.
extension Pipeline {
    /// For bytes that never became a request.
    func openExchange() -> Exchange {
        Exchange(trace: TraceContext(random: &random), policies: policies, startedAt: loop.now)
    }

    private func openExchange(for request: borrowing Request) -> Exchange {
        var exchange = Exchange(trace: trace(request), policies: policies, startedAt: .now())
        exchange.isHead = request.head.method == .head
        return exchange
    }

    private func trace(_ request: borrowing Request) -> TraceContext {
        guard let range = request.head.traceparent else { return TraceContext(random: &random) }
        return TraceContext(traceparent: request.headBytes.extracting(range), random: &random)
    }

    /// A request that waited must still be granted: nothing is done for a token that has expired, or that a reload has taken, since
    /// the request came.
    private func checkGrant(
        _ grant: Grant, _ request: borrowing Request, _ exchange: borrowing Exchange, _ cache: inout TokenDigestCache
    ) throws(Failure) {
        guard exchange.hasWaited,
            let refusal = decider.refusal(
                of: request, after: grant, by: policies.set, &cache, epochSeconds: epochSeconds)
        else { return }
        throw Failure(.noLongerGranted(refusal, exchange.credentialField), at: .admit)
    }

    /// The response to the failure of a granted request. Refunds its work if no work began. If the client left or
    /// stopped sending, there is no refund once the upstream may have the request: otherwise the client could get the
    /// work for free.
    private func failureResponse(to failure: Failure, _ exchange: inout Exchange) -> Response {
        if exchange.isUnsent || !failure.mayHaveBegunWork && !(failure.origin == .client && exchange.isForwarded) {
            limits.refundWork(&exchange, now: loop.now)
        }
        keys.conclude(failure, &exchange)
        confirmer.conclude(failure, &exchange)
        exchange.failed(failure, counts)
        return ErrorResponse(.failure(failure)).rendered(for: exchange, clock)
    }

    /// The response to a refused request. A call without the required scope still counts as a call, and an
    /// invalid credential counts for its address.
    private func refusalResponse(
        to refusal: Refusal, _ request: borrowing Request, _ exchange: inout Exchange
    ) -> Response {
        do throws(Failure) {
            try limits.chargeFailure(refusal, request, exchange, now: loop.now)
            try limits.chargeAttempt(refusal, &exchange, now: loop.now, epochSeconds: epochSeconds)
        } catch { return failureResponse(to: error, &exchange) }
        exchange.endingStage = refusal.stage
        exchange.origin = .client
        return ErrorResponse(.refusal(refusal, credential: exchange.credentialField)).rendered(for: exchange, clock)
    }

    /// Writes head and body in one piece, so that a small response is one TLS record and one system call. Returns
    /// `false` if `finish` must do the rest.
    private func respond(
        _ response: borrowing Response, _ exchange: inout Exchange, _ stream: inout some ClientStream & ~Copyable
    ) -> Bool {
        if case .relayed = response.outcome { return true }
        let start = stream.bytesWritten
        stream.writeHead(of: response, for: exchange, heads)
        let bodyBytes = exchange.hasBody(response) ? response.body.count : 0
        let isCopied = bodyBytes <= Pipeline.copiedBodyBytes
        if isCopied, bodyBytes > 0 { stream.append(response.body) }
        exchange.bytesOut = stream.bytesWritten - start + (isCopied ? 0 : bodyBytes)
        return isCopied && !(stream.hasUnreadBody && stream.canDiscardBody && !response.closesConnection)
    }

    /// Sends a body that is too large to be copied, and discards an unread request body.
    private func finish(
        _ response: borrowing Response, _ exchange: inout Exchange, _ stream: inout some ClientStream & ~Copyable
    ) async {
        // The remaining steps do not use the upstream.
        exchange.permit = nil
        if exchange.hasBody(response), response.body.count > Pipeline.copiedBodyBytes {
            guard await stream.flush(then: response.body, in: nil) else { return stream.mustClose() }
        }
        if !response.closesConnection, stream.canDiscardBody { await stream.discardBody() }
    }

    /// The maximum size of a body that is copied behind its head. Larger bodies are sent without a copy.
    private static let copiedBodyBytes = 16_000
}
