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
    package var requestedOrganization: String?
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
