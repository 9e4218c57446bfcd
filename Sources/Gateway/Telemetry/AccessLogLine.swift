internal import Bytes
internal import HTTP

/// Writes a line of the access log: one JSON object, with its fields in this order.
enum AccessLogLine {
    /// Appends one JSON object and a line feed.
    static func append(_ record: borrowing AccessRecord, head: Span<UInt8> = Span(), to out: inout [UInt8]) {
        out.append(text: "{\"time\":\"")
        out.append(timestamp: record.epochMilliseconds)
        appendAfterTime(of: record, head, to: &out)
    }

    /// Appends the fields after the time.
    static func appendAfterTime(of record: borrowing AccessRecord, _ head: Span<UInt8>, to out: inout [UInt8]) {
        out.append(text: "\",\"trace_id\":\"")
        record.traceID.append(to: &out)
        append("\",\"client\":\"", record.client, to: &out)
        append("\",\"organization\":\"", record.organization, to: &out)
        append("\",\"token_id\":\"", record.tokenID, to: &out)
        append("\",\"operation\":\"", record.operation, to: &out)
        append("\",\"connection\":\"", record.connection, to: &out)
        append("\",\"job\":\"", record.job, to: &out)
        if record.job == nil { append("\",\"job\":\"", head, record.jobInHead, to: &out) }
        append("\",\"method\":\"", record.method, to: &out)
        append("\",\"path\":\"", head, record.path, to: &out)
        if let isHTTP10 = record.isHTTP10 {
            out.append(text: isHTTP10 ? "\",\"protocol\":\"HTTP/1.0" : "\",\"protocol\":\"HTTP/1.1")
        }
        if let isTLS13 = record.isTLS13 { out.append(text: isTLS13 ? "\",\"tls\":\"1.3" : "\",\"tls\":\"1.2") }
        append("\",\"user_agent\":\"", head, record.userAgent, to: &out)
        append("\",\"code\":\"", record.code, to: &out)
        append("\",\"origin\":\"", record.origin?.rawValue, to: &out)
        append("\",\"cause\":\"", record.cause, to: &out)
        append("\",\"limit\":\"", record.limit, to: &out)
        append("\",\"missing_scope\":\"", record.missingScope, to: &out)
        if let asked = record.requestedOrganization {
            append("\",\"organization_asked\":\"", asked.utf8.span, 0..<asked.utf8.count, to: &out)
        }
        if let error = record.upstreamError {
            out.append(text: "\",\"upstream_error\":\"")
            out.append(maskedJSONText: error.utf8.span, limit: 512)
        }
        append("\",\"upstream\":\"", record.upstream, to: &out)
        if let outcome = record.outcome { append("\",\"outcome\":\"", outcome.rawValue, to: &out) }
        if let lag = record.upstreamLag { append("\",\"upstream_lag\":\"", lag.rawValue, to: &out) }
        if let use = record.idempotency { append("\",\"idempotency\":\"", use.rawValue, to: &out) }
        append("\",\"stage\":\"", record.stage.rawValue, to: &out)
        append("\",\"policy\":\"", record.policyVersion, to: &out)
        out.append(text: "\",\"status\":")
        out.append(decimal: record.status)
        if let seconds = record.retryAfterSeconds {
            out.append(text: ",\"retry_after\":")
            out.append(decimal: seconds)
        }
        if let generation = record.generation {
            out.append(text: ",\"generation\":")
            out.append(decimal: Int(generation))
        }
        if let lease = record.lease { append(lease, to: &out) }
        if record.attempts > 1 {
            out.append(text: ",\"attempts\":")
            out.append(decimal: record.attempts)
        }
        out.append(text: ",\"bytes_in\":")
        out.append(decimal: record.bytesIn)
        out.append(text: ",\"bytes_out\":")
        out.append(decimal: record.bytesOut)
        out.append(text: ",\"duration_us\":")
        out.append(microseconds: record.times.total)
        out.append(text: ",\"stages_us\":")
        record.times.append(to: &out)
        out.append(text: "}\n")
    }

    /// Ends the previous text, then appends a name and its text without the closing quote. Ids may come from a client,
    /// so all bytes that are not printable US-ASCII are escaped.
    private static func append(_ name: String, _ value: String?, to out: inout [UInt8]) {
        guard let value else { return }
        out.append(text: name)
        out.append(untrustedJSONText: value)
    }

    /// Appends a name and a range of the client's `bytes`; nothing if the range is empty.
    private static func append(_ name: String, _ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        guard !range.isEmpty else { return }
        out.append(text: name)
        out.append(maskedJSONText: bytes.extracting(range), limit: 256)
    }

    private static func append(_ lease: LeaseConflict, to out: inout [UInt8]) {
        out.append(text: ",\"lease\":{\"kind\":\"")
        out.append(untrustedJSONText: lease.kind)
        append("\",\"job\":\"", lease.job?.id, to: &out)
        if let traceID = lease.traceID {
            out.append(text: "\",\"trace_id\":\"")
            traceID.append(to: &out)
        }
        out.append(text: "\",\"since\":\"")
        out.append(timestamp: lease.heldSince)
        append("\",\"state\":\"", lease.state.rawValue, to: &out)
        out.append(text: "\",\"generation\":")
        out.append(decimal: Int(lease.generation))
        out.append(text: "}")
    }

    /// Appends a line for `count` suppressed lines. It has only the time, organization and client of the record.
    static func append(suppressedLines count: Int, _ record: borrowing AccessRecord, to out: inout [UInt8]) {
        out.append(text: "{\"time\":\"")
        out.append(timestamp: record.epochMilliseconds)
        append("\",\"client\":\"", record.client, to: &out)
        append("\",\"organization\":\"", record.organization, to: &out)
        out.append(text: "\",\"suppressed\":")
        out.append(decimal: count)
        out.append(text: "}\n")
    }
}

extension [UInt8] {
    /// Appends the start of a text from a client to a JSON string, in printable US-ASCII. Tokens in the text are
    /// replaced with stars, because clients put tokens into any text.
    mutating func append(maskedJSONText text: Span<UInt8>, limit: Int) {
        let end = Swift.min(text.count, limit)
        var start = 0
        var index = 0
        while index < end {
            guard text[index] == UInt8(ascii: "c"), index + 4 <= text.count, text.spells("cgw_", in: index..<index + 4)
            else {
                index += 1
                continue
            }
            append(untrustedJSONText: text.extracting(start..<index))
            append(text: "cgw_***")
            index += 4
            while index < text.count, text[index].isTokenByte { index += 1 }
            start = Swift.min(index, end)
        }
        append(untrustedJSONText: text.extracting(start..<end))
        if text.count > limit { append(text: "...") }
    }

    /// Appends nanoseconds as microseconds with one decimal.
    mutating func append(microseconds nanoseconds: UInt64) {
        append(tenths: nanoseconds / 100)
    }
}
