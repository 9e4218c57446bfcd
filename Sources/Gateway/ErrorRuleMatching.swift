internal import Policy

extension ErrorRule {
    /// Whether the rule is about an error of this status with this text at ``field``: `nil` where there is none.
    func matches(status: Int, text: String?) -> Bool {
        guard statuses.contains(status) else { return false }
        guard field != nil else { return true }
        guard let text else { return false }
        return pattern.map { Self.matches($0, text) } ?? true
    }

    /// Whether `text` as a whole is what `pattern` says: `*` stands for any characters, and the case of ASCII letters does
    /// not matter. Never goes back further than to the last `*`.
    private static func matches(_ pattern: String, _ text: String) -> Bool {
        let (pattern, text) = (Array(pattern.utf8), Array(text.utf8))
        var (at, read) = (0, 0)
        var star: (after: Int, read: Int)?
        while read < text.count {
            if at < pattern.count, pattern[at] == UInt8(ascii: "*") {
                at += 1
                star = (at, read)
            } else if at < pattern.count, pattern[at].lowered == text[read].lowered {
                at += 1
                read += 1
            } else if let last = star {
                at = last.after
                read = last.read + 1
                star = (at, read)
            } else {
                return false
            }
        }
        return pattern[at...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
