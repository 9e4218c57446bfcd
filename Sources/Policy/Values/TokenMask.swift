internal import Bytes
internal import JSON

/// Finds texts that look like tokens of the gateway, to hide them in all output: people paste tokens in the wrong
/// places.
package enum TokenMask {
    /// The beginning of each token.
    package static let prefix = "cgw_"

    /// The text with stars after the prefix of each token.
    package static func masked(_ text: String) -> String {
        let bytes = Array(text.utf8)
        let secrets = secrets(in: bytes)
        guard !secrets.isEmpty else { return text }
        var shown: [UInt8] = []
        var next = 0
        for secret in secrets {
            shown += bytes[next..<secret.lowerBound]
            shown += "***".utf8
            next = secret.upperBound
        }
        shown += bytes[next...]
        return String(decoding: shown, as: UTF8.self)
    }

    /// The ranges after each prefix that may belong to a token, in order.
    static func secrets(in bytes: [UInt8]) -> [SourceRange] {
        var found: [SourceRange] = []
        var index = 0
        while index + prefix.utf8.count < bytes.count {
            guard bytes[index] == UInt8(ascii: "c"), bytes[index + 1] == UInt8(ascii: "g"),
                bytes[index + 2] == UInt8(ascii: "w"), bytes[index + 3] == UInt8(ascii: "_")
            else {
                index += 1
                continue
            }
            index += prefix.utf8.count
            let start = index
            while index < bytes.count, bytes[index].belongsToToken {
                // A policy file may spell any character with an escape.
                index = min(index + (bytes[index] == UInt8(ascii: "\\") ? 2 : 1), bytes.count)
            }
            if index > start { found.append(SourceRange(lowerBound: start, upperBound: index)) }
        }
        return found
    }
}

extension UInt8 {
    /// More characters than tokens have: a mistyped token is a secret as well.
    fileprivate var belongsToToken: Bool {
        isLetterOrDigit || self == .underscore || self == .hyphen || self == .backslash
    }
}
