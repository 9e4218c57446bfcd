internal import HTTP
internal import Policy
internal import Transport

// HTTP/1.1: responses are text in the connection's output, in the order of the requests.
extension ServerConnection: ClientStream {
    mutating func writeHead(of response: borrowing Response, for exchange: borrowing Exchange, _ heads: ResponseHeads) {
        // A drain may also have begun while the request waited.
        if heads.drain.isAnnounced { drainBegan() }
        if response.closesConnection { mustClose() }
        responseStarted(discardsBody: !response.closesConnection && canDiscardBody)
        HTTP1Head.append(response, for: exchange, persistence, heads, to: &output)
    }

    mutating func beginRelaying(
        _ upstream: UpstreamConnection, for exchange: borrowing Exchange, _ heads: ResponseHeads
    ) {
        let head = upstream.head
        let framing = RelayedFraming(of: head, for: request.head)
        if heads.drain.isAnnounced { drainBegan() }
        if framing == .untilClose { mustClose() }
        writesChunks = framing == .chunked
        responseStarted(discardsBody: canDiscardBody)
        let input = upstream.input
        let facts = RelayedHeadFacts(
            head, of: input.span.extracting(upstream.headStart..<upstream.headStart + head.end))
        let locations =
            facts.hasLocation
            ? HTTP1Head.mappedLocations(
                of: upstream, for: exchange, host: request.head.host.map { request.bytes($0) } ?? [])
            : nil
        HTTP1Head.appendRelayed(
            head, of: upstream, as: framing, facts, locations, for: exchange, persistence, heads, to: &output)
    }

    private var persistence: HTTP1Head.Persistence {
        state.announcesClose ? .close : request.head.isHTTP10 ? .keepAlive : .implied
    }

    mutating func writeInterim(of upstream: UpstreamConnection) -> Bool {
        // HTTP/1.0 has no interim responses (RFC 9110, section 15.2).
        guard !request.head.isHTTP10 else { return false }
        HTTP1Head.appendInterim(of: upstream, to: &output)
        return true
    }

    mutating func append(_ bytes: [UInt8]) { output += bytes }

    mutating func append(_ piece: Range<Int>, of upstream: UpstreamConnection) {
        if writesChunks {
            upstream.copyBody(asChunk: piece, to: &output)
        } else {
            upstream.copyBody(piece, to: &output)
        }
    }

    var framesPieces: Bool { writesChunks }

    mutating func endRelaying(_ upstream: UpstreamConnection) {
        guard writesChunks else { return }
        output += ChunkedCoding.lastChunk
        upstream.appendTrailers(to: &output)
        output += HTTP1Line.end
    }

    mutating func takeBack(to mark: Int) -> Bool {
        guard bytesSent <= mark else { return false }
        output.removeLast(bytesWritten - mark)
        return true
    }

    var isFull: Bool { output.count >= ServerConnection.recordBytes }
}
