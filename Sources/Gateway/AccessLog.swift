internal import HTTP

/// What one request's log line says. Texts are those of policy and API, never of headers: no secret can be in it.
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
    package var status = 0
    /// The error code, `nil` on success.
    package var code: String?
    /// Who is to blame for a failure or refusal; `nil` also where the upstream answered with an error of its own.
    package var origin: Failure.Origin?
    /// What only the operator may read about a failure: why the upstream gave no answer.
    package var cause: String?
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
    private var start: UInt64 = 0

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
    package mutating func append(_ record: borrowing AccessRecord) {
        bytes.append(text: "{\"time\":\"")
        appendTime(record.epochMilliseconds)
        Self.appendRest(of: record, to: &bytes)
        lines += 1
        if bytes.count >= threshold { flush() }
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
    static func append(_ record: borrowing AccessRecord, to out: inout [UInt8]) {
        out.append(text: "{\"time\":\"")
        out.append(timestamp: record.epochMilliseconds)
        appendRest(of: record, to: &out)
    }

    private static func appendRest(of record: borrowing AccessRecord, to out: inout [UInt8]) {
        out.append(text: "\",\"trace_id\":\"")
        record.traceID.append(to: &out)
        append("\",\"organization\":\"", record.organization, to: &out)
        append("\",\"token_id\":\"", record.tokenID, to: &out)
        append("\",\"operation\":\"", record.operation, to: &out)
        append("\",\"connection\":\"", record.connection, to: &out)
        append("\",\"job\":\"", record.job, to: &out)
        append("\",\"method\":\"", record.method, to: &out)
        append("\",\"code\":\"", record.code, to: &out)
        append("\",\"origin\":\"", record.origin?.rawValue, to: &out)
        append("\",\"cause\":\"", record.cause, to: &out)
        append("\",\"upstream\":\"", record.upstream, to: &out)
        append("\",\"stage\":\"", record.stage.rawValue, to: &out)
        append("\",\"policy\":\"", record.policyVersion, to: &out)
        out.append(text: "\",\"status\":")
        out.append(decimal: record.status)
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
}

extension [UInt8] {
    /// Appends nanoseconds as microseconds with one decimal.
    mutating func append(microseconds nanoseconds: UInt64) {
        append(tenths: nanoseconds / 100)
    }
}
