/// The field names the gateway itself reads; every other name is `.other` and is only carried.
///
/// A name is recognized by comparing it, packed into two words, with one or two constants of its length: no table of
/// strings, no allocation. `FieldNameTests` holds the constants against the spellings.
package enum FieldName: UInt8, Sendable, CaseIterable {
    case other
    case host
    case contentLength
    case contentType
    case transferEncoding
    case connection
    case expect
    case authorization
    case apiKey
    case traceparent
    case tracestate
    case organizationID
    case upgrade
    case te
    case trailer
    case keepAlive
    case contentEncoding
    case accept
    case userAgent

    /// The name on the wire, in lower case; empty for `.other`.
    package var spelling: String {
        switch self {
        case .other: ""
        case .host: "host"
        case .contentLength: "content-length"
        case .contentType: "content-type"
        case .transferEncoding: "transfer-encoding"
        case .connection: "connection"
        case .expect: "expect"
        case .authorization: "authorization"
        case .apiKey: "x-api-key"
        case .traceparent: "traceparent"
        case .tracestate: "tracestate"
        case .organizationID: "x-organization-id"
        case .upgrade: "upgrade"
        case .te: "te"
        case .trailer: "trailer"
        case .keepAlive: "keep-alive"
        case .contentEncoding: "content-encoding"
        case .accept: "accept"
        case .userAgent: "user-agent"
        }
    }

    /// Recognizes the name in `range`, in any case.
    static func recognize(_ bytes: Span<UInt8>, _ range: Range<Int>) -> FieldName {
        let packed = PackedName(bytes, range.lowerBound..<min(range.upperBound, range.lowerBound + 16))
        if range.count == 17 {
            // Of the names longer than two words the first sixteen bytes are compared as words, the rest as they are.
            let last = bytes[range.lowerBound + 16] | 0x20
            if packed.low == 0x7265_6673_6E61_7274, packed.high == 0x6E69_646F_636E_652D, last == 0x67 {
                return .transferEncoding
            }
            if packed.low == 0x696E_6167_726F_2D78, packed.high == 0x692D_6E6F_6974_617A, last == 0x64 {
                return .organizationID
            }
        }
        return recognize(packed, length: range.count)
    }

    /// Recognizes a name at the front of sixteen bytes, with the colon that ends it, and gives its length.
    ///
    /// Bytes that fold to those of a known name without being its letters are controls, and are refused here; so a
    /// name that was recognized is a token, and nobody has to look at it again.
    @inline(__always)
    static func recognizeStart(low: UInt64, high: UInt64) -> (FieldName, length: Int)? {
        var length = 8
        var (first, second) = (low | .spaces, UInt64(0))
        let colons = low.marks(.colon)
        if colons != 0 {
            length = colons.firstMark
            first = first.firstBytes(length)
            guard low.marksBelow(0x20) & UInt64.highBits.firstBytes(length) == 0 else { return nil }
        } else {
            let colons = high.marks(.colon)
            guard colons != 0 else { return nil }
            second = (high | .spaces).firstBytes(colons.firstMark)
            guard low.marksBelow(0x20) | high.marksBelow(0x20) & UInt64.highBits.firstBytes(colons.firstMark) == 0
            else { return nil }
            length += colons.firstMark
        }
        let name = recognize(PackedName(low: first, high: second), length: length)
        return name == .other ? nil : (name, length)
    }

    @inline(__always)
    private static func recognize(_ packed: PackedName, length: Int) -> FieldName {
        switch length {
        case 2:
            if packed.low == 0x0000_0000_0000_6574 { return .te }
        case 4:
            if packed.low == 0x0000_0000_7473_6F68 { return .host }
        case 6:
            if packed.low == 0x0000_7463_6570_7865 { return .expect }
            if packed.low == 0x0000_7470_6563_6361 { return .accept }
        case 7:
            if packed.low == 0x0065_6461_7267_7075 { return .upgrade }
            if packed.low == 0x0072_656C_6961_7274 { return .trailer }
        case 9:
            if packed.low == 0x656B_2D69_7061_2D78, packed.high == 0x0000_0000_0000_0079 { return .apiKey }
        case 10:
            if packed.low == 0x6974_6365_6E6E_6F63, packed.high == 0x0000_0000_0000_6E6F { return .connection }
            if packed.low == 0x6174_7365_6361_7274, packed.high == 0x0000_0000_0000_6574 { return .tracestate }
            if packed.low == 0x696C_612D_7065_656B, packed.high == 0x0000_0000_0000_6576 { return .keepAlive }
            if packed.low == 0x6567_612D_7265_7375, packed.high == 0x0000_0000_0000_746E { return .userAgent }
        case 11:
            if packed.low == 0x7261_7065_6361_7274, packed.high == 0x0000_0000_0074_6E65 { return .traceparent }
        case 12:
            if packed.low == 0x2D74_6E65_746E_6F63, packed.high == 0x0000_0000_6570_7974 { return .contentType }
        case 13:
            if packed.low == 0x7A69_726F_6874_7561, packed.high == 0x0000_006E_6F69_7461 { return .authorization }
        case 14:
            if packed.low == 0x2D74_6E65_746E_6F63, packed.high == 0x0000_6874_676E_656C { return .contentLength }
        case 16:
            if packed.low == 0x2D74_6E65_746E_6F63, packed.high == 0x676E_6964_6F63_6E65 { return .contentEncoding }
        default: break
        }
        return .other
    }
}
