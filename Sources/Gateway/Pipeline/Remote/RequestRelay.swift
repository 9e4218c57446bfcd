internal import HTTP
internal import Policy
internal import Transport

/// Why an attempt to get an answer came to nothing.
enum RelayFailure: Error {
    /// Between the gateway and the upstream.
    case upstream(ClientFailure)
    /// Between the client and the gateway, or by a rule.
    case client(Failure)

    /// The same in the words of the pipeline.
    var asFailure: Failure {
        switch self {
        case .upstream(let failure): Failure(failure)
        case .client(let failure): failure
        }
    }
}

// The forward stage where the upstream is remote: the request goes out over a pooled connection and the answer comes back
// piece by piece. Neither is held in memory, but for what a rule, a lease or an error has to look at.
//
// What seldom happens is not inlined: a connection keeps the frame of `relay` for as long as it lives.
extension Worker {
    /// Sends the request upstream and relays the response. On success the response has been appended to the connection's output,
    /// and partly sent; an error is returned for the caller to write.
    func relay(
        _ body: ForwardedBody, for grant: Grant, over client: UpstreamClient, _ lease: consuming Lease?,
        _ caller: inout IdentityFields, _ connection: inout ServerConnection, _ exchange: inout Exchange
    ) async throws(Failure) -> Response {
        // Answers to earlier requests of a pipeline must not wait for this one.
        if !connection.output.isEmpty {
            guard await connection.flush() else { throw Failure(.clientGone, at: .forward) }
        }
        guard !isLoop(connection) else { throw Failure(.upstream(.loop), at: .forward) }
        // What is sent from here on must not be forgotten by a crash.
        do throws(LeaseJournal.Unavailable) { try await lease?.secure() } catch {
            throw Failure(.storeUnavailable, at: .lease)
        }
        // A client that goes away cancels its request, but not one that takes a lease: that is followed to its answer, so
        // that it is known what runs.
        let watch = lease == nil ? connection.watch : nil
        exchange.permit = client.tryAcquire(&caller.share)
        if exchange.permit == nil { exchange.permit = try await client.waitForPermit(&caller.share) }
        // Nothing has been sent yet, so a lease is no reason to go on for nobody.
        if connection.watch.isPeerClosing { throw Failure(.clientGone, at: .forward) }
        let askedAt = jobs?.momentToObserve(grant.route)
        connection.answerEnd = client.end(of: grant.route, from: Instant(nanoseconds: exchange.times.start))
        var reuses = true
        while true {
            let leaver = exchange.attempts == 0 ? connection.watch : watch
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
            upstream.requestStarted(connection.head.method)
            appendForwardedHead(
                of: connection, exchange, caller, to: link.endpoint, client, body.framing, &upstream.output)
            lease?.forwarded(at: loop.now)
            exchange.isForwarded = true
            do throws(RelayFailure) {
                let sent = try beginSending(body, over: upstream)
                let hasAnswer =
                    sent == .all
                    ? false
                    : try await goOnSending(
                        body, after: sent, for: grant, over: upstream, client, watch, &connection, &exchange)
                if !hasAnswer {
                    // All of it has left: the upstream has its time from here on.
                    lease?.forwarded(at: loop.now)
                    let deadline = min(client.answerDeadline(of: grant.route), connection.answerEnd)
                    try await awaitAnswer(over: upstream, before: deadline, watch, &connection)
                }
            } catch {
                guard case .upstream(let failure) = error else { throw error.asFailure }
                let retry = upstream.failed()
                if retry == .nothingSent {
                    lease?.recalled()
                    exchange.isForwarded = false
                }
                // The total deadline has passed. The client may have used it up, so the endpoint is not blamed.
                if failure == .deadlinePassed, loop.now >= connection.answerEnd {
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
            mark(.forward, &exchange)
            link.outcome = RelayedFields.outcome(of: upstream, for: exchange.organization?.key ?? 0)
            return try await deliver(link, for: grant, client, lease, askedAt, &connection, &exchange)
        }
    }

    private func isLoop(_ connection: borrowing ServerConnection) -> Bool {
        let head = connection.head
        let bytes = connection.headBytes
        return ForwardedFields.isLoop(head, bytes)
    }

    /// Sends head and body as far as the kernel takes them; nearly always that is all there is to do.
    private func beginSending(
        _ body: ForwardedBody, over upstream: ClientConnection
    ) throws(RelayFailure) -> ClientConnection.Sent {
        guard case .whole(let bytes) = body else { return .blocked }
        upstream.requestFinished(with: bytes)
        do throws(ClientFailure) { return try upstream.tryFlush() } catch { throw .upstream(error) }
    }

    /// Whether the answer has begun before the request was through: the rest of it is not wanted then.
    @inline(never)
    private func goOnSending(
        _ body: ForwardedBody, after sent: ClientConnection.Sent, for grant: Grant, over upstream: ClientConnection,
        _ client: UpstreamClient, _ watch: SocketReadiness?, _ connection: inout ServerConnection,
        _ exchange: inout Exchange
    ) async throws(RelayFailure) -> Bool {
        if sent == .answered {
            guard try await passOnInterim(upstream, watch, &connection) else { return true }
        }
        guard case .streamed(let framing, let begun) = body else {
            return try await flush(for: grant, over: upstream, client, watch, &connection)
        }
        return try await stream(framing, begun, for: grant, over: upstream, client, watch, &connection, &exchange)
    }

    /// Passes the body on as it comes; the client is not read faster than the upstream takes it.
    private func stream(
        _ framing: ForwardedFraming, _ begun: [UInt8], for grant: Grant, over upstream: ClientConnection,
        _ client: UpstreamClient, _ watch: SocketReadiness?, _ connection: inout ServerConnection,
        _ exchange: inout Exchange
    ) async throws(RelayFailure) -> Bool {
        let limit = grant.route.maxBodyBytes
        var pace = BodyPace(connection.timeouts)
        if framing == .chunked {
            upstream.output.append(chunk: begun.span, begun.indices)
        } else {
            upstream.output += begun
        }
        if try await flush(for: grant, over: upstream, client, watch, &connection) { return true }
        while !upstream.hasSentRequest {
            let asked = loop.now
            guard asked < connection.answerEnd else { throw .upstream(.deadlinePassed) }
            switch await connection.nextBodyPiece(unlessReadable: upstream.watch) {
            case .bytes(let range):
                guard pace.received(range.count, after: loop.now - asked) else {
                    throw .client(Failure(.bodyTimeout, at: .forward))
                }
                exchange.bodyBytes += range.count
                guard exchange.bodyBytes <= limit else {
                    throw .client(Failure(.bodyTooLarge(limit: limit), at: .forward))
                }
                if framing == .chunked {
                    upstream.output.append(chunk: connection.input.span, range)
                } else {
                    upstream.output.append(connection.input.span, range)
                }
            case .end:
                if framing == .chunked { upstream.output += ChunkedCoding.lastChunk + ForwardedFields.lineEnd }
                upstream.requestFinished()
            case .answered:
                if try await hasAnswer(upstream, watch, &connection) { return true }
                continue
            case .malformed(let error): throw .client(Failure(.framing(error), at: .forward))
            case .timedOut: throw .client(Failure(.bodyTimeout, at: .forward))
            case .closed: throw .client(Failure(.bodyIncomplete, at: .forward))
            }
            if try await flush(for: grant, over: upstream, client, watch, &connection) { return true }
            // A client that always has more must not keep its answer from being seen.
            if upstream.watch.isReadable, try await hasAnswer(upstream, watch, &connection) { return true }
        }
        return false
    }

    /// Sends what there is of the request. Whether the answer came first.
    private func flush(
        for grant: Grant, over upstream: ClientConnection, _ client: UpstreamClient, _ watch: SocketReadiness?,
        _ connection: inout ServerConnection
    ) async throws(RelayFailure) -> Bool {
        while true {
            let timeout = min(client.bodyProgress(of: grant.route), connection.answerEnd - loop.now)
            do throws(ClientFailure) {
                guard try await upstream.flush(within: timeout, unlessClosing: watch) == .answered else {
                    return false
                }
            } catch { throw .upstream(error) }
            guard try await passOnInterim(upstream, watch, &connection) else { return true }
        }
    }

    /// Whether the answer is here. An interim one before it goes to the client.
    private func hasAnswer(
        _ upstream: ClientConnection, _ watch: SocketReadiness?, _ connection: inout ServerConnection
    ) async throws(RelayFailure) -> Bool {
        while true {
            do throws(ClientFailure) { guard try upstream.tryHead() else { return false } } catch {
                throw .upstream(error)
            }
            guard try await passOnInterim(upstream, watch, &connection) else { return true }
        }
    }

    /// `false` where the head is that of the answer proper.
    @inline(never)
    private func passOnInterim(
        _ upstream: ClientConnection, _ watch: SocketReadiness?, _ connection: inout ServerConnection
    ) async throws(RelayFailure) -> Bool {
        guard upstream.status < 200 else { return false }
        // The gateway has said `100 Continue` itself where the client waited for it.
        if upstream.status == 100 || connection.head.isHTTP10 { return true }
        appendInterimHead(of: upstream, to: &connection.output)
        // A request with a lease is followed to its answer, also when nobody waits for that any more.
        guard await connection.flush() || watch == nil else { throw .client(Failure(.clientGone, at: .forward)) }
        return true
    }

    /// Waits for the head of the answer proper; interim answers on the way are the client's (RFC 9110, section 15.2).
    private func awaitAnswer(
        over upstream: ClientConnection, before deadline: Instant, _ watch: SocketReadiness?,
        _ connection: inout ServerConnection
    ) async throws(RelayFailure) {
        while true {
            do throws(ClientFailure) {
                while try !upstream.tryHead() {
                    try await upstream.awaitBytes(before: deadline, unlessClosing: watch)
                }
            } catch { throw .upstream(error) }
            guard upstream.status < 200 else { return }
            guard try await passOnInterim(upstream, watch, &connection) else { return }
        }
    }
}

extension UpstreamFailure {
    init(_ error: ResponseHeadError) {
        switch error {
        case .headTooLong, .tooManyFields: self = .headTooLarge
        case .switchedProtocols: self = .unexpectedUpgrade
        case .invalidStatusLine, .unsupportedVersion, .invalidField, .contradictoryFraming, .impossibleBody:
            self = .invalidResponse
        }
    }
}

extension Endpoint.Outcome {
    /// What an exchange without an answer tells; nothing where the client left.
    init(_ failure: ClientFailure, for organization: UInt64) {
        self = .unknown
        if case .upstream(let failure) = Failure(failure).kind {
            self = .unanswered(failure, organization: organization)
        }
    }
}

extension Failure {
    /// What became of an exchange with the upstream.
    init(_ failure: ClientFailure) {
        let kind: Kind =
            switch failure {
            case .abandoned: .clientGone
            case .closed: .upstream(.closed)
            case .alert: .upstream(.tlsAlert)
            case .deadlinePassed: .upstream(.answerTimeout)
            case .tooManyInterim: .upstream(.tooManyInterim)
            case .head(let error): .upstream(UpstreamFailure(error))
            case .framing: .upstream(.invalidBody)
            case .unasked: .upstream(.invalidResponse)
            case .truncated: .upstream(.truncated)
            }
        self.init(kind, at: .forward)
    }
}
