import Bytes
import HTTP

@testable import Gateway

/// Checks that a line is a list of tokens and strings with parameters (RFC 9651, section 4.2.1), as `Proxy-Status` is.
///
/// A list with one mistake is ignored whole.
struct StructuredListCheck {
    private var rest: ArraySlice<UInt8>

    static func passes(_ line: String) -> Bool {
        var check = StructuredListCheck(rest: Array(line.utf8)[...])
        return check.list()
    }

    private mutating func list() -> Bool {
        skip { $0 == .space }
        while true {
            guard string() || token(), parameters() else { return false }
            skip { $0 == .space || $0 == .tab }
            if rest.isEmpty { return true }
            guard takes(.comma) else { return false }
            skip { $0 == .space || $0 == .tab }
        }
    }

    private mutating func parameters() -> Bool {
        while takes(.semicolon) {
            skip { $0 == .space }
            guard let first = rest.first, first &- 0x61 < 26 || first == UInt8(ascii: "*") else { return false }
            skip { $0 &- 0x61 < 26 || $0.isDigit || [0x5F, 0x2D, 0x2E, 0x2A].contains($0) }
            if takes(UInt8(ascii: "=")), !bareItem() { return false }
        }
        return true
    }

    private mutating func bareItem() -> Bool {
        guard let first = rest.first else { return false }
        switch first {
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "?"):
            rest.removeFirst()
            return takes(UInt8(ascii: "0")) || takes(UInt8(ascii: "1"))
        case UInt8(ascii: ":"):
            rest.removeFirst()
            skip { $0.isDigit || $0.lowercased &- 0x61 < 26 || [0x2B, 0x2F, 0x3D].contains($0) }
            return takes(.colon)
        case UInt8(ascii: "@"):
            rest.removeFirst()
            return number(isWhole: true)
        case UInt8(ascii: "%"):
            rest.removeFirst()
            return displayString()
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return number(isWhole: false)
        default: return token()
        }
    }

    private mutating func token() -> Bool {
        guard let first = rest.first, first.isLetter || first == UInt8(ascii: "*") else { return false }
        skip { $0.isTokenByte || $0 == .colon || $0 == .slash }
        return true
    }

    private mutating func string() -> Bool {
        guard takes(UInt8(ascii: "\"")) else { return false }
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return true
            case UInt8(ascii: "\\"):
                guard takes(UInt8(ascii: "\"")) || takes(UInt8(ascii: "\\")) else { return false }
            case 0x20...0x7E: continue
            default: return false
            }
        }
        return false
    }

    private mutating func displayString() -> Bool {
        guard takes(UInt8(ascii: "\"")) else { return false }
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return true
            case UInt8(ascii: "%"):
                for _ in 0..<2 {
                    guard let digit = rest.popFirst(), digit.isDigit || digit &- 0x61 < 6 else { return false }
                }
            case 0x20...0x7E: continue
            default: return false
            }
        }
        return false
    }

    private mutating func number(isWhole: Bool) -> Bool {
        _ = takes(UInt8(ascii: "-"))
        let whole = skip(where: \.isDigit)
        guard (1...15).contains(whole) else { return false }
        guard !isWhole, takes(UInt8(ascii: ".")) else { return true }
        return whole <= 12 && (1...3).contains(skip(where: \.isDigit))
    }

    private mutating func takes(_ byte: UInt8) -> Bool {
        guard rest.first == byte else { return false }
        rest.removeFirst()
        return true
    }

    @discardableResult
    private mutating func skip(where isSkipped: (UInt8) -> Bool) -> Int {
        let count = rest.prefix(while: isSkipped).count
        rest.removeFirst(count)
        return count
    }
}
