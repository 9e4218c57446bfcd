internal import HTTP
internal import Policy
internal import Transport

/// Forwards requests to a remote upstream. `LocalForward` does the same for the connector service of this process.
///
/// The request is sent over a pooled connection (`RemoteForward+Request`), and the response returns piece by piece
/// (`RemoteForward+Response`). Bodies are kept in memory only if a rule, a lease or an error needs them.
// Rarely used code is not inlined, because a connection keeps the frame of `forward` as long as it lives.
final class RemoteForward {
    let loop: EventLoop
    let client: UpstreamClient
    /// Observes the upstream's jobs.
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

    /// Sends the request upstream and relays the response. On success the response has been written to the stream, and
    /// partly sent. An error response is returned for the caller to write.
    func forward(
        _ body: ForwardedBody, for grant: Grant, _ lease: consuming Lease?, _ identity: inout IdentityFields,
        _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Response {
        identity.update(for: grant, stream.request, exchange.policies, client)
        // Responses to earlier pipelined requests must not wait for this one.
        if stream.hasUnsentBytes {
            guard await stream.flush() else { throw Failure(.clientGone, at: .forward) }
        }
        guard !isLoop(stream.request) else {
            throw Failure(.upstream(.loop), at: .forward)
        }
        // The lease must be on disk before anything is sent, so that a crash cannot lose it.
        do throws(LeaseJournal.Unavailable) { try await lease?.waitUntilDurable() } catch {
            throw Failure(.storeUnavailable, at: .admit)
        }
        // A client that leaves cancels its request, unless the request has a lease or an idempotency key: then the response must
        // show what runs, or what was done.
        let watch = lease == nil && exchange.keyed == nil ? stream.watch : nil
        exchange.permit = client.tryAcquire(&identity.share)
        if exchange.permit == nil { exchange.permit = try await client.waitForPermit(&identity.share) }
        // Nothing has been sent yet, so even a request with a lease ends when its client has left.
        if stream.watch.isPeerClosing { throw Failure(.clientGone, at: .forward) }
        let revision = jobs?.revisionToObserve(grant.route)
        stream.responseEnd = client.end(of: grant.route, from: exchange.workFrom)
        var reuses = true
        var lag = UpstreamLag()
        while true {
            let leaver = exchange.attempts == 0 ? stream.watch : watch
            let unused = reuses ? client.tryCheckOut() : nil
            var checkedOut: CheckedOutConnection
            switch consume unused {
            case .some(let unused): checkedOut = unused
            case nil:
                checkedOut = try await client.checkOut(
                    reuses: reuses, connectWithin: grant.route.timeouts.connect, unlessClosing: leaver)
            }
            let upstream = checkedOut.connection
            exchange.endpoint = checkedOut.endpoint
            exchange.attempts += 1
            counts.add(to: checkedOut.isReused ? .upstreamReuses : .upstreamConnections)
            upstream.requestStarted(stream.request.head.method)
            ForwardedHead.append(
                stream.request, exchange, identity, to: checkedOut.endpoint, client, body.framing, &upstream.output)
            lease?.forwarded(at: loop.now)
            exchange.isForwarded = true
            do throws(RelayFailure) {
                let sent = try beginSending(body, over: upstream)
                let hasResponse =
                    sent == .all
                    ? false
                    : try await sendRest(
                        of: body, after: sent, for: grant, over: upstream, watch, &stream, &exchange)
                if !hasResponse {
                    // The whole request has been sent. The upstream's response timeout starts now.
                    lease?.forwarded(at: loop.now)
                    let deadline = min(client.responseDeadline(of: grant.route), stream.responseEnd)
                    try await awaitResponse(over: upstream, before: deadline, watch, &stream)
                }
            } catch {
                guard case .upstream(let failure) = error else { throw error.asFailure }
                let retry = upstream.failed()
                // An earlier attempt may have reached the upstream.
                if retry == .nothingSent, exchange.attempts == 1 {
                    lease?.undoForwarded()
                    exchange.isForwarded = false
                }
                // The total deadline has passed. The client may have used it up, so the endpoint is not blamed.
                if failure == .deadlinePassed, loop.now >= stream.responseEnd {
                    throw Failure(.upstream(.totalTimeout), at: .forward)
                }
                // A pooled connection that was closed says nothing about its endpoint: an endpoint that restarts, or
                // has an idle timeout, closes many at once.
                if !(checkedOut.isReused && failure == .closed) {
                    checkedOut.outcome = Endpoint.Outcome(failure, for: exchange.organization?.key ?? 0)
                }
                guard failure == .closed, retry != .no, body.isRepeatable,
                    client.cluster.limiter.mayRetry(now: loop.now)
                else { throw Failure(failure) }
                counts.add(to: .upstreamRetries)
                reuses = false
                continue
            }
            exchange.mark(.forward)
            checkedOut.outcome = Endpoint.Outcome(of: upstream, for: exchange.organization?.key ?? 0)
            if upstream.status == 409, let kind = grant.route.lease, kind.lifetime == .job, let jobs, body.isRepeatable
            {
                let error = await readError(checkedOut, for: grant, exchange)
                // The upstream refused the request, so no work began, whatever happens next.
                lease?.undoForwarded()
                exchange.isForwarded = false
                switch try await lag.resolve(kind, for: grant, jobs, from: self, &stream, &exchange) {
                case .isOver: continue
                case .runs(let job): throw lag.adopt(job, for: lease, from: self, &exchange)
                case .isUnknown: return normalizer.normalize(error, concluding: lease, &exchange, now: loop.now)
                }
            }
            return try await deliver(checkedOut, for: grant, lease, revision, &stream, &exchange)
        }
    }

    private func isLoop(_ request: borrowing Request) -> Bool {
        ForwardedFields.isLoop(request.head, request.headBytes)
    }
}
