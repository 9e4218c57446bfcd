internal import Bytes
internal import HTTP

/// The time that an upstream asks clients to wait, in the form that all clients understand: whole seconds, at least 1.
package enum RetryAfter {
    /// The value of `Retry-After`; `nil` if there is none, or none is readable.
    package static func seconds(in fields: [(name: String, value: String)], epochSeconds now: Int64) -> Int? {
        for field in fields where field.name.spells("retry-after") {
            if let seconds = seconds(field.value, epochSeconds: now) { return seconds }
        }
        return nil
    }

    /// Reads one value: seconds, rounded up, or a date. A negative number or a past date counts as 1 s.
    package static func seconds(_ value: String, epochSeconds now: Int64) -> Int? {
        let text = value.trimmed
        if let number = wholeNumber(text) { return max(1, min(number, longest)) }
        guard let date = HTTPDate.epochSeconds(String(text), now: Int(now)) else { return nil }
        return max(1, min(date - Int(now), longest))
    }

    /// One day. A longer time is treated as an error of the upstream.
    private static let longest = 86_400

    /// The time until an exhausted limit has something left, according to the limit fields; `nil` if no limit is exhausted.
    ///
    /// Limits with something left are no reason to wait. Such fields are on every response, even on a 503 with another
    /// cause.
    package static func limitReset(
        in fields: [(name: String, value: String)], epochSeconds now: Int64
    ) -> Int? {
        // Documented for this API. Like the others, it is on every response.
        if let wait = number("x-ratelimit-retry-after", fields), wait > 0 { return min(wait, maxReset) }
        var reset: Int?
        for field in fields where field.name.spells("ratelimit") {
            if let wait = AnnouncedLimit.maxWait(in: field.value) { reset = max(reset ?? 0, wait) }
        }
        for prefix in ["ratelimit", "x-ratelimit", "x-rate-limit"] where reset == nil {
            if let remaining = number(prefix + "-remaining", fields), remaining > 0 { continue }
            reset = number(prefix + "-reset", fields)
        }
        return reset.map { max(1, min(delta($0, now), maxReset)) }
    }

    /// One day. A longer window is an error of the upstream, or the field means something else.
    private static let maxReset = 86_400

    /// The older fields hold a point in time as often as a duration (API.md, section 5). A value up to 10^9 is a duration.
    /// A value up to 10^11 is a time in seconds, which reaches the year 5138. A larger one is a time in milliseconds.
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

    /// A decimal number, rounded up. A negative number becomes 0, one that is too large `Int.max`. `nil` for other text.
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

/// One limit of a `RateLimit` field: what remains, and the seconds until there is more.
private struct AnnouncedLimit {
    var remaining: Int?
    var wait: Int?

    /// The longest wait of all exhausted limits. Reads `"a";r=0;t=30, "b";r=9;t=1`, and the form of older drafts,
    /// `limit=10, remaining=0, reset=30`, in which one limit consists of several members.
    static func maxWait(in value: String) -> Int? {
        var wait: Int?
        var older = AnnouncedLimit()
        for member in value.splitOutsideQuotes(at: .comma) {
            var limit = AnnouncedLimit()
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
    /// The string without spaces and tabs at its ends (RFC 9110, section 5.6.3).
    fileprivate var trimmed: Substring {
        var bytes = self[...].utf8
        while let first = bytes.first, first == .space || first == .tab { bytes.removeFirst() }
        while let last = bytes.last, last == .space || last == .tab { bytes.removeLast() }
        return Substring(bytes)
    }

    /// Splits at `separator`, except in quoted strings (RFC 9651, section 3.3.3).
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
