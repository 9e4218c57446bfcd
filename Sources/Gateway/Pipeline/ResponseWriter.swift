internal import HTTP
internal import Policy
internal import Transport

/// What the client gets, besides the fields that every answer has.
struct Response {
    var status: Int
    var contentType = "application/json"
    var fields: [(name: String, value: String)] = []
    var body: [UInt8] = []
    /// The envelope's code; `nil` where the answer is no error.
    var errorCode: String?
    /// The connection must not carry another request.
    var closesConnection = false
    /// Head and body were already written to the connection's output; they must not be written again.
    var isRelayed = false
}

/// What the answer says about the connection.
enum Persistence {
    /// Nothing: HTTP/1.1 connections go on.
    case implied
    /// An HTTP/1.0 client closes unless it is told (RFC 9112, section 9.3).
    case keepAlive
    case close
}

extension Worker {
    /// Appends head and body as one piece, so that a small answer is one TLS record and one system call. `false` when
    /// there is more to do: see `finish`.
    func write(
        _ response: Response, for exchange: inout Exchange, to connection: inout ServerConnection
    ) -> Bool {
        // Also where the drain began while the request waited for something.
        if isDraining { connection.drainBegan() }
        if response.closesConnection { connection.mustClose() }
        let discardsBody = !response.closesConnection && connection.canDiscardBody
        connection.responseStarted(discardsBody: discardsBody)
        let persistence: Persistence =
            connection.state.announcesClose ? .close : connection.head.isHTTP10 ? .keepAlive : .implied
        let before = connection.output.count
        appendHead(of: response, for: exchange, persistence, to: &connection.output)
        let hasBody = hasBody(response, exchange)
        let isCopied = hasBody && response.body.count <= Worker.copiedBodyBytes
        if isCopied { connection.output += response.body }
        exchange.bytesOut = connection.output.count - before + (hasBody && !isCopied ? response.body.count : 0)
        return !(hasBody && !isCopied) && !(discardsBody && connection.hasUnreadBody)
    }

    /// Sends a body that is too large to be copied, and reads away a body that nobody asked for.
    func finish(
        _ response: Response, _ exchange: borrowing Exchange, to connection: inout ServerConnection
    ) async {
        if hasBody(response, exchange), response.body.count > Worker.copiedBodyBytes {
            guard await connection.flush(then: response.body) else { return connection.mustClose() }
        }
        if !response.closesConnection, connection.canDiscardBody { await connection.discardBody() }
    }

    /// Nothing follows the head of some answers, whatever length it announced (RFC 9112, section 6.3).
    private func hasBody(_ response: Response, _ exchange: borrowing Exchange) -> Bool {
        !exchange.isHead && !HTTPStatus.hasNoBody(response.status)
    }

    /// Bodies up to this size share their head's record; larger ones are sent from where they are.
    static let copiedBodyBytes = 16_000

    func appendHead(
        of response: Response, for exchange: borrowing Exchange, _ persistence: Persistence, to output: inout [UInt8]
    ) {
        let isJSON = response.contentType == "application/json"
        if response.status == 200, isJSON {
            output += usualPrefix
        } else {
            output += HTTPStatus.line(response.status)
            output += dateLine
            if !HTTPStatus.hasNoBody(response.status) {
                output +=
                    isJSON ? Worker.jsonLine : Array("Content-Type: \(response.contentType)\r\nContent-Length: ".utf8)
            }
        }
        if !HTTPStatus.hasNoBody(response.status) {
            output.append(decimal: response.body.count)
            output += Worker.lineEnd
        }
        for field in response.fields { output += Array("\(field.name): \(field.value)\r\n".utf8) }
        let brings = RateLimitFields.areBrought(by: response.fields.lazy.map(\.name))
        appendOwnFields(for: exchange, brings ? .upstreams : .ours, persistence, to: &output)
    }

    /// Appends what the gateway says in every answer, and the empty line.
    func appendOwnFields(
        for exchange: borrowing Exchange, _ limits: RateLimitFields.Source, _ persistence: Persistence,
        to output: inout [UInt8]
    ) {
        output += exchange.policies.beforeTraceID
        exchange.trace.traceID.append(to: &output)
        if limits == .ours, !exchange.batch.isEmpty {
            RateLimitFields.append(
                exchange.batch, rules: exchange.limits, texts: exchange.policies.limitTexts, family: exchange.family,
                epochMilliseconds: milliseconds(), to: &output)
        }
        switch persistence {
        case .implied: output += Worker.endOfHead
        case .keepAlive: output += Worker.keepAliveAndEnd
        case .close: output += Worker.closeAndEnd
        }
    }

    static let jsonLine = Array("Content-Type: application/json\r\nContent-Length: ".utf8)
    private static let lineEnd = Array("\r\n".utf8)
    // What may end a head, with the end of the line before it.
    private static let endOfHead = Array("\r\n\r\n".utf8)
    private static let keepAliveAndEnd = Array("\r\nConnection: keep-alive\r\n\r\n".utf8)
    private static let closeAndEnd = Array("\r\nConnection: close\r\n\r\n".utf8)
}
