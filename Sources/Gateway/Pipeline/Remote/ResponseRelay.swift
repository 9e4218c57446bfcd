internal import HTTP
internal import Policy
internal import Transport

// The way back of a relayed request. Success bytes reach the client as they are, at the pace at which it takes them; an error
// is read whole, within bounds, and becomes an envelope.
extension Worker {
    /// Relays the answer whose head `link` holds, or reads it where it is an error; settles the lease by what it says.
    ///
    /// Throws while nothing of the answer has left. An answer that ends early after that is cut, and noted for the log.
    func deliver(
        _ link: consuming CheckedOutConnection, for grant: Grant, _ client: UpstreamClient, _ lease: consuming Lease?,
        _ askedAt: LeaseMoment?, _ connection: inout ServerConnection, _ exchange: inout Exchange
    ) async throws(Failure) -> Response {
        let upstream = link.connection
        if upstream.status >= 400 {
            var answer = await collectError(over: upstream, for: grant, client)
            if let endpoint = exchange.endpoint { answer.map(endpoint.locations) }
            link.giveBack()
            let refused = UpstreamFailure.unauthenticated(
                status: answer.status, credential: client.settings.credential)
            if let refused {
                // Whoever is not let in has begun nothing.
                lease?.release()
                let error = UpstreamErrorResponse(
                    status: answer.status, contentType: answer.contentType, body: answer.body)
                exchange.upstreamText = error.words(UpstreamErrorParser(error.json, status: error.status))
                throw Failure(refused)
            }
            return normalize(answer, settling: lease, &exchange)
        }
        let status = upstream.status
        let start = begin(upstream, &connection, exchange)
        let isForJob = lease?.isForJob ?? false
        let isStored = askedAt != nil && upstream.isHeadStored
        var copy = BodyTap(isWanted: isForJob || askedAt != nil, holdsBack: isForJob, coding: upstream.contentCoding)
        do throws(RelayFailure) {
            try await relayBody(over: upstream, as: start.framing, for: grant, client, &copy, &connection)
        } catch {
            return try giveUp(after: error, start, status, &connection, &exchange)
        }
        link.giveBack()
        exchange.bytesOut = connection.bytesSent - start.bytesSent + connection.output.count - start.unsent
        if let lease {
            let job = isForJob ? startedJob(copy.plain, lease.key, pathStart(of: connection, for: grant), grant) : nil
            exchange.startedJob = job?.id
            lease.settle(status: status, started: job, now: milliseconds())
        } else if let askedAt, !isStored, let organization = grant.organization {
            jobs?.observed(
                copy.plain.span, grant.route, organization: organization.id, askedAt: askedAt, now: milliseconds())
        }
        if connection.hasUnreadBody, connection.canDiscardBody {
            exchange.permit = nil
            await connection.discardBody()
        }
        return Response(status: status, isRelayed: true)
    }

    private func startedJob(_ body: [UInt8], _ key: LeaseKey, _ start: String, _ grant: Grant) -> LeaseJob? {
        guard let kind = grant.route.lease else { return nil }
        return jobs?.started(by: body.span, key, kind: kind, family: grant.route.family, near: start)
    }

    /// Where a relayed answer begins among the bytes for the client.
    private struct Start {
        let framing: RelayedFraming
        let bytesSent: Int
        let unsent: Int
    }

    private func begin(
        _ upstream: ClientConnection, _ connection: inout ServerConnection, _ exchange: borrowing Exchange
    ) -> Start {
        let head = upstream.head
        let framing = RelayedFraming(of: head, for: connection.head)
        if isDraining { connection.drainBegan() }
        if framing == .untilClose { connection.mustClose() }
        connection.responseStarted(discardsBody: connection.canDiscardBody)
        let start = Start(framing: framing, bytesSent: connection.bytesSent, unsent: connection.output.count)
        let persistence: Persistence =
            connection.state.announcesClose ? .close : connection.head.isHTTP10 ? .keepAlive : .implied
        let marks = RelayedMarks(head)
        let locations =
            marks.hasLocation
            ? mappedLocations(
                of: upstream, for: exchange, host: connection.head.host.map { connection.bytes($0) } ?? [])
            : nil
        appendRelayedHead(
            head, of: upstream, as: framing, marks, locations, for: exchange, persistence, to: &connection.output)
        return start
    }

    private func relayBody(
        over upstream: ClientConnection, as framing: RelayedFraming, for grant: Grant, _ client: UpstreamClient,
        _ copy: inout BodyTap, _ connection: inout ServerConnection
    ) async throws(RelayFailure) {
        do throws(ClientFailure) {
            while true {
                guard loop.now < connection.answerEnd else { throw .deadlinePassed }
                switch try tryRelay(over: upstream, as: framing, &copy, &connection.output) {
                case .end: return
                case .nothing where copy.holdsBack:
                    try await upstream.awaitBytes(
                        before: min(loop.now + client.bodyProgress(of: grant.route), connection.answerEnd))
                // The client gets what there is before more is waited for, and no more is read than it takes.
                case .nothing:
                    guard await connection.flush() else { throw .abandoned }
                    try await upstream.awaitBytes(
                        before: min(loop.now + client.bodyProgress(of: grant.route), connection.answerEnd),
                        unlessClosing: connection.watch)
                case .enough: guard await connection.flushFullRecords() else { throw .abandoned }
                case .large(let range):
                    guard await connection.flush(then: upstream.input, in: range) else { throw .abandoned }
                }
                // Where both sides are always ready, other connections get their turn all the same.
                if connection.isTurnOver() { await connection.nextTurn() }
            }
        } catch {
            // Whoever was waited for, it is the total time that is over.
            guard loop.now < connection.answerEnd else {
                throw .client(Failure(.upstream(.totalTimeout), at: .forward))
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
        over upstream: ClientConnection, as framing: RelayedFraming, _ copy: inout BodyTap, _ output: inout [UInt8]
    ) throws(ClientFailure) -> Stop {
        while output.count < ServerConnection.recordBytes || copy.holdsBack {
            switch try upstream.tryBodyPiece() {
            case .bytes(let range)?:
                copy.append(range, of: upstream)
                if framing == .chunked {
                    upstream.copyBody(asChunk: range, to: &output)
                } else if range.count >= Worker.largeBytes, !copy.holdsBack {
                    return .large(range)
                } else {
                    upstream.copyBody(range, to: &output)
                }
            case .end?:
                if framing == .chunked {
                    output += ChunkedCoding.lastChunk
                    upstream.appendTrailers(to: &output)
                    output += ForwardedFields.lineEnd
                }
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
        after failure: RelayFailure, _ start: Start, _ status: Int, _ connection: inout ServerConnection,
        _ exchange: inout Exchange
    ) throws(Failure) -> Response {
        let failure: Failure =
            switch failure {
            case .client(let failure): failure
            case .upstream(.deadlinePassed): Failure(.upstream(.bodyTimeout), at: .forward)
            case .upstream(.closed): Failure(.upstream(.truncated), at: .forward)
            case .upstream(let failure): Failure(failure)
            }
        if connection.bytesSent == start.bytesSent {
            connection.output.removeLast(connection.output.count - start.unsent)
            throw failure
        }
        exchange.bytesOut = connection.bytesSent - start.bytesSent
        note(failure, &exchange)
        connection.cut()
        return Response(status: status, isRelayed: true)
    }
}
