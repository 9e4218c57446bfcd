internal import HTTP
internal import Policy
internal import Transport

// Relaying the response. The bytes of a success reach the client unchanged, at the pace at which the client reads. An
// error is read whole, up to a limit, and becomes an envelope.
extension RemoteForward {
    /// Relays the response whose head `checkedOut` holds; an error is read instead. Concludes the lease according to the
    /// response.
    ///
    /// A long response is sent here, except its end. The end, and a short response, stay in the stream, which sends
    /// them when it looks for the client's next request. So the responses to pipelined requests are sent together.
    ///
    /// Throws only while nothing of the response has been sent. A response that ends early after that is cut and logged.
    func deliver(
        _ checkedOut: consuming CheckedOutConnection, for grant: Grant, _ lease: consuming Lease?,
        _ revision: LeaseRevision?, _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Response {
        let upstream = checkedOut.connection
        if upstream.status >= 400 {
            let upstreamResponse = await readError(checkedOut, for: grant, exchange)
            let refused = UpstreamFailure.unauthenticated(
                status: upstreamResponse.status, credential: client.settings.credential)
            if let refused {
                // A rejected credential means that no work has begun.
                lease?.release()
                let error = UpstreamErrorResponse(
                    status: upstreamResponse.status, contentType: upstreamResponse.contentType,
                    body: upstreamResponse.body)
                let words = error.words(UpstreamErrorParser(error.json, status: error.status))
                exchange.upstreamText = words?.masking(normalizer.secrets)
                throw Failure(refused)
            }
            return normalizer.normalize(upstreamResponse, concluding: lease, &exchange, now: loop.now)
        }
        let status = upstream.status
        let start = stream.bytesWritten
        stream.beginRelaying(upstream, for: exchange, heads)
        let isForJob = lease?.isForJob ?? false
        let isKeyed = exchange.keyed != nil
        let head = isKeyed ? keptHead(of: upstream, stream.request, exchange) : nil
        let isFromCache = revision != nil && upstream.isHeadFromCache
        var copy = BodyTap(
            isWanted: isForJob || revision != nil || isKeyed, holdsBack: isForJob || isKeyed,
            coding: upstream.contentCoding)
        do throws(RelayFailure) {
            try await relayBody(over: upstream, for: grant, &copy, &stream)
        } catch {
            return try giveUp(after: error, start, status, &stream, &exchange)
        }
        checkedOut.giveBack()
        exchange.bytesOut = stream.bytesWritten - start
        if let head { exchange.keyed?.relayed = head.with(copy.whole) }
        if let lease {
            exchange.startedJob = conclude(lease, by: copy, status, stream.request, grant)
        } else if let revision, !isFromCache, let organization = grant.organization {
            jobs?.observed(
                copy.plain.span, grant.route, organization: organization.id, asOf: revision, now: clock.moment)
        }
        if stream.hasUnreadBody, stream.canDiscardBody {
            exchange.permit = nil
            await stream.discardBody()
        }
        return Response(status: status, outcome: .relayed)
    }

    /// Reads an error response, and gives the connection back.
    func readError(
        _ checkedOut: consuming CheckedOutConnection, for grant: Grant, _ exchange: borrowing Exchange
    ) async -> UpstreamResponse {
        var response = await UpstreamErrorReader.read(
            over: checkedOut.connection, within: client.bodyProgress(of: grant.route), now: loop.now)
        if let endpoint = exchange.endpoint { response.map(endpoint.locations) }
        checkedOut.giveBack()
        return response
    }

    private func keptHead(
        of upstream: UpstreamConnection, _ request: borrowing Request, _ exchange: borrowing Exchange
    ) -> StoredResponse {
        StoredResponse.head(of: upstream, for: exchange, host: request.head.host.map { request.bytes($0) } ?? [])
    }

    /// Concludes the lease of a request that succeeded. Returns the id of the job that the response names.
    private func conclude(
        _ lease: consuming Lease, by copy: borrowing BodyTap, _ status: Int, _ request: borrowing Request,
        _ grant: Grant
    ) -> String? {
        var job: LeaseJob?
        if lease.isForJob, let kind = grant.route.lease {
            job = jobs?.started(
                by: copy.plain.span, lease.key, kind: kind, family: grant.route.family,
                near: request.pathStart(for: grant))
        }
        lease.conclude(status: status, started: job, now: clock.moment)
        return job?.id
    }

    private func relayBody(
        over upstream: UpstreamConnection, for grant: Grant, _ copy: inout BodyTap,
        _ stream: inout some ClientStream & ~Copyable
    ) async throws(RelayFailure) {
        do throws(UpstreamConnectionError) {
            while true {
                guard loop.now < stream.responseEnd else { throw .deadlinePassed }
                switch try tryRelay(over: upstream, &copy, &stream) {
                case .end: return
                case .nothing where copy.holdsBack:
                    try await upstream.awaitBytes(
                        before: min(loop.now + client.bodyProgress(of: grant.route), stream.responseEnd))
                // The client gets the pending bytes before the wait, and no more is read than it takes.
                case .nothing:
                    guard await stream.flush() else { throw .abandoned }
                    try await upstream.awaitBytes(
                        before: min(loop.now + client.bodyProgress(of: grant.route), stream.responseEnd),
                        unlessClosing: stream.watch)
                case .enough: guard await stream.flushFullRecords() else { throw .abandoned }
                case .large(let range):
                    guard await stream.flush(then: upstream.input, in: range) else { throw .abandoned }
                }
                // If both sides are always ready, other connections still get their turn.
                if stream.isTurnOver() { await stream.nextTurn() }
            }
        } catch {
            // The total time is over, whichever side was waited for.
            guard loop.now < stream.responseEnd else {
                throw .request(Failure(.upstream(.totalTimeout), at: .forward))
            }
            throw .upstream(error)
        }
    }

    /// Why relaying stops.
    private enum Stop {
        case end
        /// No more bytes have arrived.
        case nothing
        /// The client must read some bytes first.
        case enough
        /// A large piece, as a range of the upstream's input. It is sent directly and not copied.
        case large(Range<Int>)
    }

    /// Appends the received bytes of the body.
    private func tryRelay(
        over upstream: UpstreamConnection, _ copy: inout BodyTap,
        _ stream: inout some ClientStream & ~Copyable
    ) throws(UpstreamConnectionError) -> Stop {
        while !stream.isFull || copy.holdsBack {
            switch try upstream.tryBodyPiece() {
            case .bytes(let range)?:
                copy.append(range, of: upstream)
                if range.count >= RemoteForward.largeBytes, !stream.framesPieces, !copy.holdsBack {
                    return .large(range)
                }
                stream.append(range, of: upstream)
            case .end?:
                stream.endRelaying(upstream)
                return .end
            case nil: return .nothing
            }
        }
        return .enough
    }

    /// The minimum size of a piece that is sent directly.
    private static let largeBytes = 8192

    /// The answer ended early. Where nothing of it has left yet it becomes an error; else the client must see that it is not
    /// whole (RFC 9112, section 8), so the connection is aborted.
    private func giveUp(
        after failure: RelayFailure, _ start: Int, _ status: Int, _ stream: inout some ClientStream & ~Copyable,
        _ exchange: inout Exchange
    ) throws(Failure) -> Response {
        let failure: Failure =
            switch failure {
            case .request(let failure): failure
            case .upstream(.deadlinePassed): Failure(.upstream(.bodyTimeout), at: .forward)
            case .upstream(.closed): Failure(.upstream(.truncated), at: .forward)
            case .upstream(let failure): Failure(failure)
            }
        if stream.takeBack(to: start) { throw failure }
        exchange.bytesOut = stream.bytesSent - start
        exchange.failed(failure, counts)
        stream.abort()
        return Response(status: status, outcome: .relayed)
    }
}
