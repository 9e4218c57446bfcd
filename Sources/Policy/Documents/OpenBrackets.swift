internal import Bytes
internal import JSON

/// The braces and brackets that are open at a position of a text, for help about a missing one.
///
/// The text before the position has no syntax error, so strings and comments are recognized by their first bytes.
struct OpenBrackets {
    /// The offsets of the open ones, the outermost first.
    private(set) var open: [Int] = []
    /// The first pair whose closing bracket begins a line of another indentation than its opening bracket's line: as a
    /// rule, the missing bracket belongs before that line.
    private(set) var misplaced: (opening: Int, closing: Int)?

    private let bytes: [UInt8]
    private let end: Int
    private var at = 0

    init(in bytes: [UInt8], before end: Int) {
        self.bytes = bytes
        self.end = min(end, bytes.count)
        var lineIndent = 0
        var isFirst = true
        var indents: [Int] = []
        while at < self.end {
            let byte = bytes[at]
            switch byte {
            case UInt8(ascii: "\n"):
                (lineIndent, isFirst) = (0, true)
            case UInt8(ascii: " "), UInt8(ascii: "\t"):
                if isFirst { lineIndent += 1 }
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                isFirst = false
                skipString(closing: byte)
            case UInt8(ascii: "/"):
                isFirst = false
                skipComment()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                isFirst = false
                open.append(at)
                indents.append(lineIndent)
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard let opening = open.popLast(), let indent = indents.popLast() else { break }
                if isFirst, indent != lineIndent, misplaced == nil { misplaced = (opening, at) }
                isFirst = false
            default:
                isFirst = false
            }
            at += 1
        }
    }

    /// Leaves `at` on the quote that ends the string.
    private mutating func skipString(closing: UInt8) {
        at += 1
        while at < end, bytes[at] != closing { at += bytes[at] == UInt8(ascii: "\\") ? 2 : 1 }
    }

    /// Leaves `at` on the last byte of the comment; a `//` comment ends before its line feed.
    private mutating func skipComment() {
        guard at + 1 < end else { return }
        if bytes[at + 1] == UInt8(ascii: "/") {
            while at + 1 < end, bytes[at + 1] != UInt8(ascii: "\n") { at += 1 }
        } else if bytes[at + 1] == UInt8(ascii: "*") {
            at += 3
            while at < end, !(bytes[at] == UInt8(ascii: "/") && bytes[at - 1] == UInt8(ascii: "*")) { at += 1 }
        }
    }
}

extension SyntaxHints {
    /// Help for a missing brace or bracket, or one too many; empty for other mistakes.
    static func bracketHelp(for mistake: JSONError, in text: SourceText) -> [String] {
        let (bytes, start) = (text.bytes, mistake.range.lowerBound)
        let found = start < bytes.count ? bytes[start] : nil
        let closes = found == UInt8(ascii: "}") || found == UInt8(ascii: "]")
        switch mistake.kind {
        case .unexpectedEnd: break
        case .unexpected where closes || startsMember(bytes[start...]): break
        case .trailingContent where closes: break
        default: return []
        }
        let brackets = OpenBrackets(in: bytes, before: start)
        func name(_ offset: Int) -> String {
            "the \(quoted(bytes[offset])) at \(text.name):\(text.position(of: offset))"
        }
        var help: [String]
        if let opening = brackets.open.last {
            // In ASCII, each closing bracket is its opening one plus 2.
            let closing = bytes[opening] + 2
            if let found, closes {
                guard found != closing else { return [] }
                help = ["\(quoted(found)) cannot close \(name(opening)): write \(quoted(closing)) instead"]
            } else {
                // A member where a list is open: the list is not closed.
                guard found == nil || closing == UInt8(ascii: "]") else { return [] }
                help = ["\(name(opening)) is not closed"]
            }
        } else {
            guard closes else { return [] }
            help = ["no brace or bracket is open here: remove this one, or one above it"]
        }
        if let misplaced = brackets.misplaced {
            help.append(
                "the indentation suggests that \(name(misplaced.closing)) is not meant to close \(name(misplaced.opening))"
            )
        }
        return help
    }

    /// Whether a name and a colon follow, or the colon after a name.
    private static func startsMember(_ rest: ArraySlice<UInt8>) -> Bool {
        let word = rest.prefix { $0.isLetter || $0 == .underscore }
        return rest[word.endIndex...].first { $0 != UInt8(ascii: " ") } == UInt8(ascii: ":")
    }

    private static func quoted(_ byte: UInt8) -> String { "\"\(Unicode.Scalar(byte))\"" }
}
