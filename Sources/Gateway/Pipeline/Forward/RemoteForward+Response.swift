internal import HTTP
internal import Policy
internal import Transport

// The way back of a relayed request. Success bytes reach the client as they are, at the pace at which it takes them; an error
// is read whole, within bounds, and becomes an envelope.
extension RemoteForward {
    /// Relays the answer whose head `link` holds, or reads it where it is an error; settles the lease by what it says.
    ///
    /// Of a long answer all but the end is sent here, at the pace of the client. A short answer, and the end of a long one, stay in
    /// the stream: it sends them when it looks for its client's next request, so that the responses to pipelined requests leave
    /// together.
    ///
    /// Throws while nothing of the answer has left. An answer that ends early after that is cut, and noted for the log.
    func deliver(
        _ link: consuming CheckedOutConnection, for grant: Grant, _ lease: consuming Lease?,
        _ revision: LeaseRevision?, _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Response {
        let upstream = link.connection
        if upstream.status >= 400 {
            var upstreamResponse = await UpstreamErrorReader.read(
                over: upstream, within: client.bodyProgress(of: grant.route), now: loop.now)
            if let endpoint = exchange.endpoint { upstreamResponse.map(endpoint.locations) }
            link.giveBack()
            let refused = UpstreamFailure.unauthenticated(
                status: upstreamResponse.status, credential: client.settings.credential)
            if let refused {
                // Whoever is not let in has begun nothing.
                lease?.release()
                let error = UpstreamErrorResponse(
                    status: upstreamResponse.status, contentType: upstreamResponse.contentType,
                    body: upstreamResponse.body)
                exchange.upstreamText = error.words(UpstreamErrorParser(error.json, status: error.status))
                throw Failure(refused)
            }
            return normalizer.normalize(upstreamResponse, settling: lease, &exchange, now: loop.now)
        }
        let status = upstream.status
        let start = stream.bytesWritten
        stream.beginRelaying(upstream, for: exchange, heads)
        let isForJob = lease?.isForJob ?? false
        let isStored = revision != nil && upstream.isHeadStored
        var copy = BodyTap(isWanted: isForJob || revision != nil, holdsBack: isForJob, coding: upstream.contentCoding)
        do throws(RelayFailure) {
            try await relayBody(over: upstream, for: grant, &copy, &stream)
        } catch {
            return try giveUp(after: error, start, status, &stream, &exchange)
        }
        link.giveBack()
        exchange.bytesOut = stream.bytesWritten - start
        if let lease {
            exchange.startedJob = conclude(lease, by: copy, status, stream.request, grant)
        } else if let revision, !isStored, let organization = grant.organization {
            jobs?.observed(
                copy.plain.span, grant.route, organization: organization.id, asOf: revision, now: clock.milliseconds)
        }
        if stream.hasUnreadBody, stream.canDiscardBody {
            exchange.permit = nil
            await stream.discardBody()
        }
        return Response(status: status, outcome: .relayed)
    }

    /// Settles the lease of a request that succeeded. Returns the id of the job that the response names.
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
        lease.conclude(status: status, started: job, now: clock.milliseconds)
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
                // The client gets what there is before more is waited for, and no more is read than it takes.
                case .nothing:
                    guard await stream.flush() else { throw .abandoned }
                    try await upstream.awaitBytes(
                        before: min(loop.now + client.bodyProgress(of: grant.route), stream.responseEnd),
                        unlessClosing: stream.watch)
                case .enough: guard await stream.flushFullRecords() else { throw .abandoned }
                case .large(let range):
                    guard await stream.flush(then: upstream.input, in: range) else { throw .abandoned }
                }
                // Where both sides are always ready, other connections get their turn all the same.
                if stream.isTurnOver() { await stream.nextTurn() }
            }
        } catch {
            // Whoever was waited for, it is the total time that is over.
            guard loop.now < stream.responseEnd else {
                throw .request(Failure(.upstream(.totalTimeout), at: .forward))
            }
            throw .upstream(error)
        }
    }

    /// What stops the relaying of what is here.
    private enum Stop {
        case end
        /// More has to come.
        case nothing
        /// The client has to take some.
        case enough
        /// A piece, as a range of the upstream's input, that is better sent from where it is than copied.
        case large(Range<Int>)
    }

    /// Appends what is here of the body.
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

    /// From this size on a piece of a body is sent by itself.
    private static let largeBytes = 8192

    /// The answer ended early. Where nothing of it has left yet it becomes an error; else the client must see that it is not
    /// whole (RFC 9112, section 8), so the connection is cut.
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
        stream.cut()
        return Response(status: status, outcome: .relayed)
    }
}
