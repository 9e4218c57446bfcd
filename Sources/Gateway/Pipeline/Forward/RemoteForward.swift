internal import HTTP
internal import Policy
internal import Transport

/// Forwards requests to a remote upstream. `LocalForward` does the same for the connector service of this process.
///
/// The request goes out over a pooled connection (`RemoteForward+Request`), and the response comes back piece by piece
/// (`RemoteForward+Response`). Neither is held in memory, but for what a rule, a lease or an error has to look at.
// What seldom happens is not inlined: a connection keeps the frame of `forward` for as long as it lives.
final class RemoteForward {
    let loop: EventLoop
    /// The way to the upstream.
    let client: UpstreamClient
    /// What is known of its jobs.
    let jobs: JobObserver?
    let counts: WorkerMetrics
    let heads: ResponseHeads
    let normalizer: NormalizeStage
    let clock: WallClock

    init(
        loop: EventLoop, client: UpstreamClient, jobs: JobObserver?, counts: WorkerMetrics, heads: ResponseHeads,
        normalizer: NormalizeStage, clock: WallClock
    ) {
        self.loop = loop
        self.client = client
        self.jobs = jobs
        self.counts = counts
        self.heads = heads
        self.normalizer = normalizer
        self.clock = clock
    }

    /// Sends the request upstream and relays the response. On success the response has been written to the stream, and partly sent;
    /// an error is returned for the caller to write.
    func forward(
        _ body: ForwardedBody, for grant: Grant, _ lease: consuming Lease?, _ identity: inout IdentityFields,
        _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Response {
        identity.update(for: grant, stream.request, exchange.policies, client)
        // Answers to earlier requests of a pipeline must not wait for this one.
        if stream.hasUnsentBytes {
            guard await stream.flush() else { throw Failure(.clientGone, at: .forward) }
        }
        guard !isLoop(stream.request) else {
            throw Failure(.upstream(.loop), at: .forward)
        }
        // What is sent from here on must not be forgotten by a crash.
        do throws(LeaseJournal.Unavailable) { try await lease?.secure() } catch {
            throw Failure(.storeUnavailable, at: .lease)
        }
        // A client that goes away cancels its request, but not one that takes a lease: that is followed to its answer, so
        // that it is known what runs.
        let watch = lease == nil ? stream.watch : nil
        exchange.permit = client.tryAcquire(&identity.share)
        if exchange.permit == nil { exchange.permit = try await client.waitForPermit(&identity.share) }
        // Nothing has been sent yet, so a lease is no reason to go on for nobody.
        if stream.watch.isPeerClosing { throw Failure(.clientGone, at: .forward) }
        let revision = jobs?.revisionToObserve(grant.route)
        stream.responseEnd = client.end(of: grant.route, from: Instant(nanoseconds: exchange.times.start))
        var reuses = true
        while true {
            let leaver = exchange.attempts == 0 ? stream.watch : watch
            let unused = reuses ? client.tryLink() : nil
            var link: CheckedOutConnection
            switch consume unused {
            case .some(let unused): link = unused
            case nil:
                link = try await client.link(
                    reuses: reuses, connectWithin: grant.route.timeouts.connect, unlessClosing: leaver)
            }
            let upstream = link.connection
            exchange.endpoint = link.endpoint
            exchange.attempts += 1
            counts.add(to: link.isReused ? .upstreamReuses : .upstreamConnections)
            upstream.requestStarted(stream.request.head.method)
            ForwardedHead.append(
                stream.request, exchange, identity, to: link.endpoint, client, body.framing, &upstream.output)
            lease?.forwarded(at: loop.now)
            exchange.isForwarded = true
            do throws(RelayFailure) {
                let sent = try beginSending(body, over: upstream)
                let hasResponse =
                    sent == .all
                    ? false
                    : try await goOnSending(
                        body, after: sent, for: grant, over: upstream, watch, &stream, &exchange)
                if !hasResponse {
                    // All of it has left: the upstream has its time from here on.
                    lease?.forwarded(at: loop.now)
                    let deadline = min(client.responseDeadline(of: grant.route), stream.responseEnd)
                    try await awaitResponse(over: upstream, before: deadline, watch, &stream)
                }
            } catch {
                guard case .upstream(let failure) = error else { throw error.asFailure }
                let retry = upstream.failed()
                if retry == .nothingSent {
                    lease?.recalled()
                    exchange.isForwarded = false
                }
                // The total deadline has passed. The client may have used it up, so the endpoint is not blamed.
                if failure == .deadlinePassed, loop.now >= stream.responseEnd {
                    throw Failure(.upstream(.totalTimeout), at: .forward)
                }
                // A connection that ended while it was unused tells nothing of its endpoint: an endpoint that starts again, or
                // has idle times of its own, ends many at once.
                if !(link.isReused && failure == .closed) {
                    link.outcome = Endpoint.Outcome(failure, for: exchange.organization?.key ?? 0)
                }
                guard failure == .closed, retry != .no, body.isRepeatable,
                    client.cluster.limiter.mayRetry(now: loop.now)
                else { throw Failure(failure) }
                counts.add(to: .upstreamRetries)
                reuses = false
                continue
            }
            exchange.mark(.forward)
            link.outcome = RelayedFields.outcome(of: upstream, for: exchange.organization?.key ?? 0)
            return try await deliver(link, for: grant, lease, revision, &stream, &exchange)
        }
    }

    private func isLoop(_ request: borrowing Request) -> Bool {
        ForwardedFields.isLoop(request.head, request.headBytes)
    }
}
