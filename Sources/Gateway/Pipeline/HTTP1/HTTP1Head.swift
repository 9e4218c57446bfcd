internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

/// Writes the heads of HTTP/1.1 responses (RFC 9112, sections 4 and 5).
enum HTTP1Head {
    /// The `Connection` field of a response.
    enum Persistence {
        /// No field: HTTP/1.1 connections persist.
        case implied
        /// An HTTP/1.0 client closes unless the response says `keep-alive` (RFC 9112, section 9.3).
        case keepAlive
        case close
    }

    /// Appends the head of a response of the gateway's own.
    static func append(
        _ response: borrowing Response, for exchange: borrowing Exchange, _ persistence: Persistence,
        _ heads: ResponseHeads, to output: inout [UInt8]
    ) {
        let isJSON = response.contentType == "application/json"
        if response.status == 200, isJSON, response.fields.isEmpty {
            let room = heads.http1Start.count + 20 + 2 + maxBytesOfOwnFields(for: exchange)
            // In one piece: the capacity is checked once, and not for each of about thirty parts.
            return output.append(addingCapacity: room) { output in
                output.append(copying: heads.http1Start)
                output.append(decimal: response.body.count)
                output.append(.carriageReturn)
                output.append(.lineFeed)
                appendOwnFields(for: exchange, .ours, persistence, heads, to: &output)
            }
        }
        output += HTTPStatus.line(response.status)
        appendDate(heads, to: &output)
        if !HTTPStatus.hasNoBody(response.status) {
            if isJSON {
                output += HTTP1Line.json
            } else {
                // A kept response of the upstream may have none.
                if !response.contentType.isEmpty { output += Array("Content-Type: \(response.contentType)\r\n".utf8) }
                output += HTTP1Line.contentLength
            }
            output.append(decimal: response.body.count)
            output += HTTP1Line.end
        }
        for field in response.fields { output += Array("\(field.name): \(field.value)\r\n".utf8) }
        let hasOwnLimits = RateLimitFields.areAmong(response.fields.lazy.map(\.name))
        appendOwnFields(for: exchange, hasOwnLimits ? .upstreams : .ours, persistence, heads, to: &output)
    }

    /// Appends the gateway's fields of every response, and the empty line, in one piece.
    static func appendOwnFields(
        for exchange: borrowing Exchange, _ limits: RateLimitFields.Source, _ persistence: Persistence,
        _ heads: ResponseHeads, to output: inout [UInt8]
    ) {
        output.append(addingCapacity: maxBytesOfOwnFields(for: exchange)) { output in
            appendOwnFields(for: exchange, limits, persistence, heads, to: &output)
        }
    }

    /// The maximum length of the gateway's own fields.
    private static func maxBytesOfOwnFields(for exchange: borrowing Exchange) -> Int {
        exchange.policies.beforeTraceID.count + TraceID.digits + keepAliveAndEnd.count
            + RateLimitFields.maxBytes(exchange.batch, rules: exchange.limits, texts: exchange.policies.limitTexts)
            + (exchange.hasAdmissionFields ? maxBytesOfAdmissionFields : 0)
    }

    private static func appendOwnFields(
        for exchange: borrowing Exchange, _ limits: RateLimitFields.Source, _ persistence: Persistence,
        _ heads: ResponseHeads, to output: inout OutputSpan<UInt8>
    ) {
        output.append(copying: exchange.policies.beforeTraceID)
        exchange.trace.traceID.append(to: &output)
        if limits == .ours, !exchange.batch.isEmpty {
            RateLimitFields.append(
                exchange.batch, rules: exchange.limits, texts: exchange.policies.limitTexts, family: exchange.family,
                epochMilliseconds: heads.clock.milliseconds, to: &output)
        }
        if exchange.hasAdmissionFields { appendAdmissionFields(for: exchange, to: &output) }
        switch persistence {
        case .implied: output.append(copying: endOfHead)
        case .keepAlive: output.append(copying: keepAliveAndEnd)
        case .close: output.append(copying: closeAndEnd)
        }
    }

    // Not inlined: few responses have these fields.
    @inline(never)
    private static func appendAdmissionFields(for exchange: borrowing Exchange, to output: inout OutputSpan<UInt8>) {
        if let outcome = exchange.outcome {
            output.append(copying: outcomeName)
            for byte in outcome.rawValue.utf8 { output.append(byte) }
        }
        if let seconds = exchange.appliedWaitSeconds {
            output.append(copying: appliedWait)
            output.append(decimal: seconds)
        }
    }

    private static let outcomeName = Array("\r\nX-Gateway-Outcome: ".utf8)
    private static let appliedWait = Array("\r\nPreference-Applied: wait=".utf8)
    private static let maxBytesOfAdmissionFields = outcomeName.count + 32 + appliedWait.count + 20

    /// Appends the line of `Date`.
    static func appendDate(_ heads: ResponseHeads, to output: inout [UInt8]) {
        output += HTTP1Line.dateName
        output += heads.date
        output += HTTP1Line.end
    }

    // The possible ends of a head, each preceded by the end of the line before it.
    private static let endOfHead = Array("\r\n\r\n".utf8)
    private static let keepAliveAndEnd = Array("\r\nConnection: keep-alive\r\n\r\n".utf8)
    private static let closeAndEnd = Array("\r\nConnection: close\r\n\r\n".utf8)
}
