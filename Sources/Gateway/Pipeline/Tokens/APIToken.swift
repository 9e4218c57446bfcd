internal import Bytes

/// The text of a token: `cgw_`, 43 characters with 32 random bytes, and 6 characters with a checksum.
///
/// The characters are base 62, so that a double click selects the whole token. The prefix lets secret scanners find
/// leaked tokens. The checksum distinguishes a typing error from a revoked token without a lookup.
package enum APIToken {
    package static let prefix = "cgw_"
    /// The length of a token.
    package static let count = 53

    private static let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
    private static let bodyCount = 47

    /// Makes the text for 32 bytes of a cryptographic random source; `nil` for another number of bytes.
    package static func create(random: Span<UInt8>) -> String? {
        guard random.count == 32 else { return nil }
        var number: [UInt8] = []
        for index in random.indices { number.append(random[index]) }
        var text = Array(prefix.utf8)
        // 62^43 > 2^256: the digits, least significant first, hold every value.
        for _ in 0..<43 {
            var remainder = 0
            for index in number.indices {
                let value = remainder << 8 | Int(number[index])
                number[index] = UInt8(truncatingIfNeeded: value / 62)
                remainder = value % 62
            }
            text.append(alphabet[remainder])
        }
        let body = text
        appendChecksum(of: body.span, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// Whether `text` has the form of a token and the right checksum. The token may still be unknown.
    package static func isWellFormed(_ text: Span<UInt8>) -> Bool {
        guard text.count == count, hasPrefix(text) else { return false }
        for index in prefix.utf8.count..<count where !text[index].isLetterOrDigit { return false }
        var sum: [UInt8] = []
        appendChecksum(of: text.extracting(first: bodyCount), to: &sum)
        for index in sum.indices where sum[index] != text[bodyCount + index] { return false }
        return true
    }

    /// Whether `text` has the form of a token but a wrong checksum: a typing error. A text of another length or
    /// alphabet may be a token that was made elsewhere.
    package static func isMistyped(_ text: Span<UInt8>) -> Bool {
        guard text.count == count, hasPrefix(text) else { return false }
        for index in prefix.utf8.count..<count where !text[index].isLetterOrDigit { return false }
        return !isWellFormed(text)
    }

    private static func hasPrefix(_ text: Span<UInt8>) -> Bool {
        var index = 0
        for byte in prefix.utf8 {
            guard text[index] == byte else { return false }
            index += 1
        }
        return true
    }

    private static func appendChecksum(of text: Span<UInt8>, to out: inout [UInt8]) {
        var rest = CRC32.checksum(of: text)
        // 62^6 > 2^32.
        for _ in 0..<6 {
            out.append(alphabet[Int(rest % 62)])
            rest /= 62
        }
    }
}
