internal import Bytes
internal import JSON

/// Help for a text that is not JSON5, if the cause can be recognized.
enum SyntaxHints {
    static func help(for mistake: JSONError, in text: SourceText) -> [String] {
        if isUTF16(text.bytes) { return ["the file is encoded in UTF-16: save it as UTF-8"] }
        let line = text.bytes[text.lineRange(at: mistake.range.lowerBound)]
        if ["<<<<<<<", "=======", ">>>>>>>", "|||||||"].contains(where: { line.starts(with: $0.utf8) }) {
            return ["this is a conflict marker of an unresolved merge: keep one side, and remove the markers"]
        }
        let rest = text.bytes[min(mistake.range.lowerBound, text.bytes.count)...]
        if quotes.contains(where: { rest.starts(with: $0.utf8) }) {
            return ["this is a typographic quote: write \" instead"]
        }
        if looksLikeYAML(text.bytes) {
            return ["this looks like YAML: write JSON5, with all sections in one object { }"]
        }
        if rest.first == UInt8(ascii: "#") { return ["begin a comment with //"] }
        if case .unexpected(_, expected: "\":\"") = mistake.kind {
            return ["a name with a character other than letters, digits, \"_\" and \"$\" must be in quotes"]
        }
        return bracketHelp(for: mistake, in: text)
    }

    private static let quotes = ["\u{201C}", "\u{201D}", "\u{201E}", "\u{2018}", "\u{2019}", "\u{AB}", "\u{BB}"]

    /// By the byte order mark, or by the zero beside each letter.
    private static func isUTF16(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= 2 else { return false }
        switch (bytes[0], bytes[1]) {
        case (0xFF, 0xFE), (0xFE, 0xFF), (0, 1...), (1..., 0): return true
        default: return false
        }
    }

    /// Whether the first line with content begins with a list's dash, or has a name and a colon outside of any object.
    private static func looksLikeYAML(_ bytes: [UInt8]) -> Bool {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 200)
        let first = lines.first { line in
            let start = line.first { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\r") }
            return start.map { $0 != UInt8(ascii: "#") && $0 != UInt8(ascii: "/") } ?? false
        }
        guard let first, let start = first.first else { return false }
        if first.starts(with: "---".utf8) || first.starts(with: "- ".utf8) { return true }
        return start.isLetter && first.contains(UInt8(ascii: ":"))
    }
}
