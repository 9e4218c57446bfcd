internal import Bytes
internal import HTTP

/// How long an upstream asks its clients to wait, in the one form that all of them understand: whole seconds, at least one.
package enum RetryAfter {
    /// What `Retry-After` says; `nil` where there is none, or none that can be read.
    package static func seconds(in fields: [(name: String, value: String)], epochSeconds now: Int64) -> Int? {
        for field in fields where field.name.spells("retry-after") {
            if let seconds = seconds(field.value, epochSeconds: now) { return seconds }
        }
        return nil
    }

    /// Reads one value: seconds, rounded up to whole ones, or a date. The past, as a negative number, is one second.
    package static func seconds(_ value: String, epochSeconds now: Int64) -> Int? {
        let text = value.trimmed
        if let number = wholeNumber(text) { return max(1, min(number, longest)) }
        guard let date = HTTPDate.epochSeconds(String(text), now: Int(now)) else { return nil }
        return max(1, min(date - Int(now), longest))
    }

    /// A day. What says more is mistaken: nobody may send a client away for years.
    private static let longest = 86_400

    /// When the exhausted limit is whole again, from the fields that tell how limits stand; `nil` where none is exhausted.
    ///
    /// Limits that have something left are no reason to wait, and such fields are on every answer, also on a 503 that has
    /// nothing to do with them.
    package static func limitReset(
        in fields: [(name: String, value: String)], epochSeconds now: Int64
    ) -> Int? {
        // Documented for this API, and like the others on every answer.
        if let wait = number("x-ratelimit-retry-after", fields), wait > 0 { return min(wait, maxReset) }
        var reset: Int?
        for field in fields where field.name.spells("ratelimit") {
            if let wait = StandingLimit.maxWait(in: field.value) { reset = max(reset ?? 0, wait) }
        }
        for prefix in ["ratelimit", "x-ratelimit", "x-rate-limit"] where reset == nil {
            if let remaining = number(prefix + "-remaining", fields), remaining > 0 { continue }
            reset = number(prefix + "-reset", fields)
        }
        return reset.map { max(1, min(delta($0, now), maxReset)) }
    }

    /// No limit's window is longer than a day; what says so is mistaken, or means something else.
    private static let maxReset = 86_400

    /// The older fields hold an instant as often as a span (API.md, section 5). No span is thirty years, and no instant in
    /// seconds is beyond the year 5138: larger ones are in milliseconds.
    private static func delta(_ value: Int, _ now: Int64) -> Int {
        switch value {
        case ...1_000_000_000: value
        case ...100_000_000_000: value - Int(now)
        default: value / 1000 - Int(now)
        }
    }

    private static func number(_ name: String, _ fields: [(name: String, value: String)]) -> Int? {
        for field in fields where field.name.spells(name) {
            if let number = wholeNumber(field.value.trimmed) { return number }
        }
        return nil
    }

    /// A decimal number, rounded up; a negative one is 0, and what does not fit the largest. `nil` for anything else.
    static func wholeNumber(_ text: Substring) -> Int? {
        let isNegative = text.utf8.first == UInt8(ascii: "-")
        let parts = text.dropFirst(isNegative ? 1 : 0).split(
            separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard text.utf8.count <= 64, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(\.isDigit) }),
            let whole = parts.first
        else { return nil }
        guard !isNegative else { return 0 }
        let isRoundedUp = parts.count == 2 && parts[1].utf8.contains { $0 != .zeroDigit }
        let number = Int(whole) ?? .max
        return isRoundedUp && number < .max ? number + 1 : number
    }
}

/// One limit of a `RateLimit` field: what remains, and in how many seconds there is more.
private struct StandingLimit {
    var remaining: Int?
    var wait: Int?

    /// The longest wait for a limit with nothing left. Reads `"a";r=0;t=30, "b";r=9;t=1`, and the form of older drafts,
    /// `limit=10, remaining=0, reset=30`, where one limit has several members.
    static func maxWait(in value: String) -> Int? {
        var wait: Int?
        var older = StandingLimit()
        for member in value.splitOutsideQuotes(at: .comma) {
            var limit = StandingLimit()
            for parameter in member.splitOutsideQuotes(at: .semicolon) {
                let parts = parameter.trimmed.split(separator: "=", maxSplits: 1)
                guard parts.count == 2, let number = RetryAfter.wholeNumber(parts[1]) else { continue }
                switch parts[0] {
                case "r": limit.remaining = number
                case "t": limit.wait = number
                case "remaining": older.remaining = number
                case "reset": older.wait = number
                default: continue
                }
            }
            if let own = limit.waitIfExhausted { wait = max(wait ?? 0, own) }
        }
        return wait ?? older.waitIfExhausted
    }

    private var waitIfExhausted: Int? { (remaining ?? 0) == 0 ? wait : nil }
}

extension StringProtocol where SubSequence == Substring {
    /// Without the spaces and tabs at its ends (RFC 9110, section 5.6.3).
    fileprivate var trimmed: Substring {
        var bytes = self[...].utf8
        while let first = bytes.first, first == .space || first == .tab { bytes.removeFirst() }
        while let last = bytes.last, last == .space || last == .tab { bytes.removeLast() }
        return Substring(bytes)
    }

    /// The parts between `separator`s, but not those in quoted strings (RFC 9651, section 3.3.3).
    fileprivate func splitOutsideQuotes(at separator: UInt8) -> [Substring] {
        var isQuoted = false
        var isEscaped = false
        return self[...].utf8.split { byte in
            defer { isEscaped = isQuoted && !isEscaped && byte == UInt8(ascii: "\\") }
            if byte == UInt8(ascii: "\""), !isEscaped { isQuoted.toggle() }
            return byte == separator && !isQuoted
        }.map(Substring.init)
    }
}
