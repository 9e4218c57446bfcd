internal import Bytes

/// The identity of a trace, which spans all services: 16 bytes, not all zero (W3C Trace Context).
package struct TraceID: Hashable, Sendable {
    /// The first 16 hexadecimal digits.
    package let high: UInt64
    /// The last 16 hexadecimal digits.
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads the 32 hexadecimal digits.
    package init?(_ text: String) {
        let digits = text.utf8.span
        guard digits.count == 32, let high = UInt64(hex: digits.extracting(first: 16)),
            let low = UInt64(hex: digits.extracting(last: 16))
        else { return nil }
        self.init(high: high, low: low)
    }

    /// Appends the 32 hexadecimal digits, as in envelope, `X-Trace-Id` and log.
    package func append(to buffer: inout [UInt8]) {
        buffer.append(addingCapacity: TraceID.digits) { out in append(to: &out) }
    }

    /// The number of digits.
    static let digits = 32

    /// Appends the digits. `out` must have room for them.
    func append(to out: inout OutputSpan<UInt8>) {
        out.append(hex: high)
        out.append(hex: low)
    }

    /// The 32 hexadecimal digits. Allocates, so not for the hot path.
    package var text: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The content of a `traceparent` field.
package struct TraceParent: Equatable, Sendable {
    package let traceID: TraceID
    /// The caller's span, never 0.
    package let parentID: UInt64
    /// As received, including reserved bits.
    package let flags: UInt8

    /// Parses a field value (W3C Trace Context, section 3.2.2). Returns `nil` if a new trace must be started.
    ///
    /// Upper-case digits, version `ff` and all-zero ids are invalid. A version above `00` is read like `00` if its
    /// first 55 bytes have that form and are the whole value or are followed by `-`.
    package static func parse(_ value: Span<UInt8>) -> TraceParent? {
        guard value.count >= 55, value[2] == .hyphen, value[35] == .hyphen, value[52] == .hyphen,
            let version = hex(value, from: 0, digits: 2), version != 0xFF
        else { return nil }
        guard value.count == 55 || (version > 0 && value[55] == .hyphen) else { return nil }
        guard let high = hex(value, from: 3, digits: 16), let low = hex(value, from: 19, digits: 16),
            let parent = hex(value, from: 36, digits: 16), let flags = hex(value, from: 53, digits: 2)
        else { return nil }
        guard high | low != 0, parent != 0 else { return nil }
        return TraceParent(traceID: TraceID(high: high, low: low), parentID: parent, flags: UInt8(flags))
    }

    private static func hex(_ value: Span<UInt8>, from start: Int, digits: Int) -> UInt64? {
        var result: UInt64 = 0
        for index in start..<start + digits {
            guard !value[index].isUppercaseLetter, let digit = value[index].hexDigitValue else { return nil }
            result = result << 4 | UInt64(digit)
        }
        return result
    }
}

/// The trace of a request, with the span of this gateway.
package struct TraceContext: Equatable, Sendable {
    package let traceID: TraceID
    /// The caller's span; 0 if the gateway started the trace.
    package let callerID: UInt64
    /// The gateway's span, which the upstream receives as the parent id.
    package let spanID: UInt64
    /// `sampled` (1) and `random` (2). The other bits are reserved and never forwarded.
    package let flags: UInt8

    /// Joins the caller's trace if its `traceparent` is valid; otherwise starts one. The span id is always new.
    package init(traceparent: Span<UInt8>, random: inout FastRandom) {
        if let parent = TraceParent.parse(traceparent) {
            self.init(joining: parent, random: &random)
        } else {
            self.init(random: &random)
        }
    }

    /// Joins the caller's trace, with a new span id and without the reserved flags.
    package init(joining parent: TraceParent, random: inout FastRandom) {
        traceID = parent.traceID
        callerID = parent.parentID
        spanID = random.nextNonzero()
        flags = parent.flags & 0x03
    }

    /// Starts a trace. It is marked sampled because the gateway's own log line records this hop.
    package init(random: inout FastRandom) {
        traceID = TraceID(high: random.nextNonzero(), low: random.next())
        callerID = 0
        spanID = random.nextNonzero()
        flags = 0x03
    }

    /// Whether the caller started the trace. Only then its `tracestate` is forwarded.
    package var isJoined: Bool { callerID != 0 }

    /// Appends the `traceparent` value for the upstream. The version is `00`, whatever version the caller sent.
    package func appendTraceparent(to buffer: inout [UInt8]) {
        buffer.append(addingCapacity: 55) { out in
            out.append(.zeroDigit)
            out.append(.zeroDigit)
            out.append(.hyphen)
            out.append(hex: traceID.high)
            out.append(hex: traceID.low)
            out.append(.hyphen)
            out.append(hex: spanID)
            out.append(.hyphen)
            out.append(.hexDigit(UInt64(flags >> 4)))
            out.append(.hexDigit(UInt64(flags)))
        }
    }
}

extension FastRandom {
    fileprivate mutating func nextNonzero() -> UInt64 {
        while true {
            let value = next()
            if value != 0 { return value }
        }
    }
}

/// Decides whether a request's `tracestate` lines are forwarded: all of them, unchanged, or none.
///
/// Pass each line in order, then call ``isForwardable(in:)``. The result never affects the `traceparent` (W3C Trace
/// Context, section 3.3).
package struct TraceStateCheck: Sendable {
    private var members = 0
    private var bytes = 0
    private var isValid = true

    package init() {}

    /// Whether the list has 1 to 32 members, none malformed, in at most 8 KiB, and the trace was joined: without a valid
    /// `traceparent` the list belongs to no trace.
    package func isForwardable(in context: TraceContext) -> Bool {
        context.isJoined && isValid && (1...32).contains(members) && bytes <= 8192
    }

    /// Adds the members of the value of one `tracestate` line.
    package mutating func receivedLine(_ value: Span<UInt8>) {
        bytes += value.count
        var start = 0
        for index in 0...value.count where index == value.count || value[index] == UInt8(ascii: ",") {
            receivedMember(value, start..<index)
            start = index + 1
        }
    }

    private mutating func receivedMember(_ value: Span<UInt8>, _ range: Range<Int>) {
        var start = range.lowerBound
        var end = range.upperBound
        while start < end, isBlank(value[start]) { start += 1 }
        while end > start, isBlank(value[end - 1]) { end -= 1 }
        // Empty members are allowed and ignored (section 3.3.1.1).
        guard start < end else { return }
        members += 1

        var equals = start
        while equals < end, isKeyByte(value[equals]) { equals += 1 }
        guard equals < end, value[equals] == UInt8(ascii: "="), (1...256).contains(equals - start),
            value[start] != UInt8(ascii: "@"), (1...256).contains(end - equals - 1)
        else { return isValid = false }
        for index in equals + 1..<end where !isValueByte(value[index]) { isValid = false }
    }

    private func isBlank(_ byte: UInt8) -> Bool { byte == .space || byte == .tab }

    private func isKeyByte(_ byte: UInt8) -> Bool {
        switch byte {
        case .underscore, .hyphen, .asterisk, .slash, UInt8(ascii: "@"): true
        default: byte.isLetterOrDigit && !byte.isUppercaseLetter
        }
    }

    private func isValueByte(_ byte: UInt8) -> Bool {
        (0x20...0x7E).contains(byte) && byte != UInt8(ascii: "=")
    }
}
