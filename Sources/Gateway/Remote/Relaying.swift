internal import HTTP
internal import Policy
internal import Transport

/// The body of a request on its way upstream.
enum ForwardedBody {
    /// In memory, so it can be sent again.
    case whole([UInt8])
    /// Still with the client: passed on piece by piece, and never more than once.
    case streamed(ForwardedFraming)

    var framing: ForwardedFraming {
        switch self {
        case .whole(let bytes): bytes.isEmpty ? .none : .length(bytes.count)
        case .streamed(let framing): framing
        }
    }

    var isRepeatable: Bool {
        if case .whole = self { true } else { false }
    }
}

/// Why an attempt to get an answer came to nothing.
enum RelayFailure: Error {
    /// Between the gateway and the upstream.
    case upstream(ClientFailure)
    /// Between the client and the gateway, or by a rule.
    case client(Failure)

    var asFailure: Failure {
        switch self {
        case .upstream(let failure): Failure(failure)
        case .client(let failure): failure
        }
    }
}

// The forward stage where the upstream is remote: the request goes out over a pooled connection and the answer comes back
// piece by piece. Neither is held in memory, but for what a rule, a lease or an error has to look at.
extension Worker {
    /// Sends the request upstream and relays the answer. It is with the client when this returns, unless it is an error, which
    /// has to become an envelope first.
    func relay(
        _ body: ForwardedBody, for grant: Grant, over client: UpstreamClient, _ lease: consuming Lease?,
        _ caller: borrowing CallerLines, _ connection: inout ServerConnection, _ exchange: inout Exchange
    ) async throws(Failure) -> Response {
        // Answers to earlier requests of a pipeline must not wait for this one.
        guard await connection.flush() else { throw Failure(.clientGone, at: .forward) }
        guard !isLoop(connection) else { throw Failure(.upstream(.loop), at: .forward) }
        // What is sent from here on must not be forgotten by a crash.
        try await lease?.secure()
        // A client that goes away cancels its request, but not one that takes a lease: that is followed to its answer, so
        // that it is known what runs.
        let watch = lease == nil ? connection.watch : nil
        exchange.place = try await client.enter()
        let askedAt = jobs?.momentToObserve(grant.route)
        var reuses = true
        while true {
            var link = try await client.link(reuses: reuses, unlessClosing: watch)
            let upstream = link.connection
            exchange.endpoint = link.endpoint
            exchange.attempts += 1
            counts.add(to: link.isReused ? .upstreamReuses : .upstreamConnections)
            upstream.requestStarted(connection.head.method)
            appendForwardedHead(
                of: connection, exchange, caller, to: link.endpoint, client, body.framing, &upstream.output)
            lease?.forwarded()
            do throws(RelayFailure) {
                if try !sendAtOnce(body, over: upstream) {
                    try await send(body, for: grant, over: upstream, client, &connection, &exchange)
                }
                try await awaitAnswer(for: grant, over: upstream, client, watch, &connection)
            } catch {
                guard case .upstream(let failure) = error else { throw error.asFailure }
                let retry = upstream.failed()
                if retry == .nothingSent { lease?.recalled() }
                if failure != .abandoned { link.outcome = .bad }
                guard failure == .closed, retry != .no, body.isRepeatable, client.cluster.gate.mayRetry(now: loop.now)
                else { throw Failure(failure) }
                counts.add(to: .upstreamRetries)
                reuses = false
                continue
            }
            mark(.forward, &exchange)
            link.outcome = RelayedHead.isEndpointFailure(upstream.status) ? .bad : .good
            return try await deliver(link, for: grant, client, lease, askedAt, &connection, &exchange)
        }
    }

    private func isLoop(_ connection: borrowing ServerConnection) -> Bool {
        let head = connection.head
        let bytes = connection.input.span.extracting(connection.headStart..<connection.headStart + head.end)
        return ForwardedHead.isLoop(head, bytes)
    }

    /// Sends head and body if they are short and the kernel takes them; nearly always that is all there is to do.
    private func sendAtOnce(_ body: ForwardedBody, over upstream: ClientConnection) throws(RelayFailure) -> Bool {
        guard case .whole(let bytes) = body, bytes.count <= Worker.copiedBodyBytes else { return false }
        upstream.output += bytes
        upstream.requestFinished()
        do throws(ClientFailure) { return try upstream.flushAtOnce() } catch {
            try lookForAnswer(after: error, over: upstream)
            return true
        }
    }

    private func send(
        _ body: ForwardedBody, for grant: Grant, over upstream: ClientConnection, _ client: UpstreamClient,
        _ connection: inout ServerConnection, _ exchange: inout Exchange
    ) async throws(RelayFailure) {
        guard case .whole(let bytes) = body else {
            return try await stream(body.framing, for: grant, over: upstream, client, &connection, &exchange)
        }
        let deadline = loop.now + client.bodyProgress(of: grant.route)
        do throws(ClientFailure) {
            if bytes.count <= Worker.copiedBodyBytes {
                try await upstream.flush(before: deadline)
            } else {
                try await upstream.flush(then: bytes, before: deadline)
            }
        } catch { try lookForAnswer(after: error, over: upstream) }
    }

    /// Passes the body on as it comes; the client is not read faster than the upstream takes it.
    private func stream(
        _ framing: ForwardedFraming, for grant: Grant, over upstream: ClientConnection, _ client: UpstreamClient,
        _ connection: inout ServerConnection, _ exchange: inout Exchange
    ) async throws(RelayFailure) {
        let limit = grant.route.maxBodyBytes
        while true {
            switch await connection.nextBodyPiece() {
            case .bytes(let range):
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
                if framing == .chunked { upstream.output += ChunkedCoding.lastChunk + ForwardedHead.lineEnd }
                upstream.requestFinished()
            case .malformed(let error): throw .client(Failure(.framing(error), at: .forward))
            case .timedOut: throw .client(Failure(.bodyTimeout, at: .forward))
            case .closed: throw .client(Failure(.bodyIncomplete, at: .forward))
            }
            do throws(ClientFailure) {
                try await upstream.flush(before: loop.now + client.bodyProgress(of: grant.route))
            } catch { return try lookForAnswer(after: error, over: upstream) }
            // An answer that does not wait for the body's end is the answer; the rest is not wanted.
            if upstream.hasSentRequest || upstream.answersEarly { return }
        }
    }

    /// The upstream stopped reading: it may have said why.
    private func lookForAnswer(after failure: ClientFailure, over upstream: ClientConnection) throws(RelayFailure) {
        guard failure == .closed, upstream.answersEarly else { throw .upstream(failure) }
    }

    /// Waits for the head of the answer proper; interim answers on the way are the client's (RFC 9110, section 15.2).
    private func awaitAnswer(
        for grant: Grant, over upstream: ClientConnection, _ client: UpstreamClient, _ watch: SocketWatch?,
        _ connection: inout ServerConnection
    ) async throws(RelayFailure) {
        let deadline = loop.now + (grant.route.timeouts.answer ?? client.timeouts.answer)
        while true {
            do throws(ClientFailure) {
                while try !upstream.headAtHand() {
                    try await upstream.awaitBytes(before: deadline, unlessClosing: watch)
                }
            } catch { throw .upstream(error) }
            guard upstream.status < 200 else { return }
            // The gateway has said `100 Continue` itself where the client waited for it.
            if upstream.status == 100 || connection.head.isHTTP10 { continue }
            appendInterimHead(of: upstream, to: &connection.output)
            guard await connection.flush() else { throw .client(Failure(.clientGone, at: .forward)) }
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
