internal import Bytes
internal import HTTP

/// What one request's log line says. Nothing of a query, a body or a credential is in it, and what a client may have pasted
/// into a path or a user agent is starred.
package struct AccessRecord: Sendable {
    /// When the request ended.
    package var epochMilliseconds: Int64 = 0
    package var traceID = TraceID(high: 0, low: 0)
    package var organization: String?
    /// `organization/name` as in the policy; `nil` where nobody was recognized.
    package var tokenID: String?
    /// The id of the route; `nil` where none was found.
    package var operation: String?
    /// The canonical id; for a job's operation that of its connection.
    package var connection: String?
    package var job: String?
    /// `nil` where the head could not be read.
    package var method: String?
    /// The address of the client; behind trusted proxies the one that they saw.
    package var client: String?
    /// What the line quotes of the request: parts of its head, copied from there to the line. Empty: nothing.
    package var path = 0..<0
    package var userAgent = 0..<0
    /// The job that the path names, where no other is known.
    package var jobInHead = 0..<0
    /// `nil` where the head could not be read.
    package var isHTTP10: Bool?
    /// Whether the connection has TLS 1.3 and not 1.2; `nil` without TLS.
    package var isTLS13: Bool?
    package var status = 0
    /// The error code, `nil` on success.
    package var code: String?
    /// Who is to blame for a failure or refusal; `nil` also where the upstream answered with an error of its own.
    package var origin: Failure.Origin?
    /// What only the operator may read about a failure: why the upstream gave no answer.
    package var cause: String?
    /// The limit that refused.
    package var limit: String?
    /// Seconds to wait, where a limit or a lease refused.
    package var retryAfterSeconds: Int?
    /// What runs on the connection, where that refused.
    package var lease: LeaseConflict?
    /// The scopes of the route that the token lacks.
    package var missingScope: String?
    package var organizationAsked: String?
    /// What the upstream said about its error.
    package var upstreamError: String?
    /// The address of the upstream's endpoint; `nil` where no connection to one came about.
    package var upstream: String?
    /// Over how many connections the request was sent upstream, or was to be sent.
    package var attempts = 0
    /// The stage that ended the request; ``Stage/record`` on success.
    package var stage = Stage.record
    /// The short version of the set that the request was judged by.
    package var policyVersion = ""
    /// The request's head, and its body without framing; not what TLS adds.
    package var bytesIn = 0
    /// Head and body of the answer as sent, framing included; not what TLS adds.
    package var bytesOut = 0
    package var times = StageTimes()

    package init() {}
}

/// How long each stage of one request took, in nanoseconds of the clock that was handed in.
package struct StageTimes: Sendable {
    private var durations = InlineArray<12, UInt64>(repeating: 0)
    private var last: UInt64 = 0
    private(set) var start: UInt64 = 0

    package init() {}

    package init(start: UInt64) {
        self.start = start
        last = start
    }

    /// A stage ended; the next one begins.
    package mutating func ended(_ stage: Stage, at now: UInt64) {
        durations[stage.index] += now > last ? now - last : 0
        last = max(now, last)
    }

    /// From the start to the last stage that ended.
    package var total: UInt64 { last - start }

    package func duration(of stage: Stage) -> UInt64 { durations[stage.index] }

    private static let names = Stage.allCases.map { ",\"\($0.rawValue)\":" }
    private static let firstNames = Stage.allCases.map { "\"\($0.rawValue)\":" }

    /// Appends `{"route":1.5,...}` in microseconds, stages that took no time left out.
    func append(to buffer: inout [UInt8]) {
        buffer.append(UInt8(ascii: "{"))
        var isFirst = true
        for index in durations.indices where durations[index] > 0 {
            buffer.append(text: isFirst ? Self.firstNames[index] : Self.names[index])
            isFirst = false
            buffer.append(microseconds: durations[index])
        }
        buffer.append(UInt8(ascii: "}"))
    }
}

/// The log lines one worker has written since it last handed them over. Stays on its worker.
package struct AccessLogBuffer {
    private var bytes: [UInt8] = []
    private var lines = 0
    private let queue: AccessLogQueue
    private let threshold: Int
    private var textSecond: Int64 = -1
    private var secondText: [UInt8] = []

    /// Hands its lines over once they have `threshold` bytes.
    package init(queue: AccessLogQueue, threshold: Int = 32 << 10) {
        self.queue = queue
        self.threshold = threshold
        bytes.reserveCapacity(threshold + 2048)
    }

    /// Appends a request's line, and hands the buffer over when it is full. Call ``flush()`` a few times a second too.
    /// `head` is that of the request.
    package mutating func append(_ record: borrowing AccessRecord, head: Span<UInt8> = Span()) {
        bytes.append(text: "{\"time\":\"")
        appendTime(record.epochMilliseconds)
        Self.appendRest(of: record, head, to: &bytes)
        lines += 1
        if bytes.count >= threshold { flush() }
    }

    /// Appends a line that stands for others; only time, organization and client of the record are in it.
    mutating func append(suppressedLines count: Int, _ record: borrowing AccessRecord) {
        Self.append(suppressedLines: count, record, to: &bytes)
        lines += 1
    }

    static func append(suppressedLines count: Int, _ record: borrowing AccessRecord, to out: inout [UInt8]) {
        out.append(text: "{\"time\":\"")
        out.append(timestamp: record.epochMilliseconds)
        append("\",\"client\":\"", record.client, to: &out)
        append("\",\"organization\":\"", record.organization, to: &out)
        out.append(text: "\",\"suppressed\":")
        out.append(decimal: count)
        out.append(text: "}\n")
    }

    /// A date is dear and the same for a whole second.
    private mutating func appendTime(_ epochMilliseconds: Int64) {
        let second = epochMilliseconds / 1000
        if second != textSecond {
            textSecond = second
            secondText.removeAll(keepingCapacity: true)
            secondText.append(timestampTo: Int(second))
        }
        bytes.append(contentsOf: secondText)
        bytes.append(timestampFrom: Int(epochMilliseconds - second * 1000))
    }

    /// Hands over what there is.
    package mutating func flush() {
        guard lines > 0 else { return }
        queue.submit(bytes, lines: lines)
        lines = 0
        bytes = []
        bytes.reserveCapacity(threshold + 2048)
    }

    /// Appends one JSON object and a line feed.
    static func append(_ record: borrowing AccessRecord, head: Span<UInt8> = Span(), to out: inout [UInt8]) {
        out.append(text: "{\"time\":\"")
        out.append(timestamp: record.epochMilliseconds)
        appendRest(of: record, head, to: &out)
    }

    private static func appendRest(of record: borrowing AccessRecord, _ head: Span<UInt8>, to out: inout [UInt8]) {
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
        if let asked = record.organizationAsked {
            append("\",\"organization_asked\":\"", asked.utf8.span, 0..<asked.utf8.count, to: &out)
        }
        if let error = record.upstreamError {
            out.append(text: "\",\"upstream_error\":\"")
            out.append(starredJSONText: error.utf8.span, limit: 512)
        }
        append("\",\"upstream\":\"", record.upstream, to: &out)
        append("\",\"stage\":\"", record.stage.rawValue, to: &out)
        append("\",\"policy\":\"", record.policyVersion, to: &out)
        out.append(text: "\",\"status\":")
        out.append(decimal: record.status)
        if let seconds = record.retryAfterSeconds {
            out.append(text: ",\"retry_after\":")
            out.append(decimal: seconds)
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

    /// Closes the text before, and writes a name and its text but for the closing quote. Ids may be a client's words:
    /// everything beyond printable US-ASCII is escaped.
    private static func append(_ name: String, _ value: String?, to out: inout [UInt8]) {
        guard let value else { return }
        out.append(text: name)
        out.append(untrustedJSONText: value)
    }

    /// The same for words of the client, which stand in `bytes`; nothing where there are none.
    private static func append(_ name: String, _ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        guard !range.isEmpty else { return }
        out.append(text: name)
        out.append(starredJSONText: bytes.extracting(range), limit: 256)
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
        out.append(text: "\"}")
    }
}

extension [UInt8] {
    /// Appends the front of a text that a stranger wrote, as the inside of a JSON string in printable US-ASCII. What looks
    /// like a token is starred: people paste theirs everywhere.
    mutating func append(starredJSONText text: Span<UInt8>, limit: Int) {
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
