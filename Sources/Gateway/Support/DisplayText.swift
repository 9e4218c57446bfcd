/// Makes an upstream's text safe to show in a message, a log line or a terminal.
enum DisplayText {
    /// One line of at most `limit` bytes; `nil` if nothing visible is left.
    ///
    /// Control characters, and marks that change the direction of text, become spaces. The limit counts bytes, because
    /// one character can have any length. The cut is between scalars.
    static func line(_ text: String, limit: Int) -> String? {
        var line = String.UnicodeScalarView()
        var count = 0
        var owesSpace = false
        for scalar in text.unicodeScalars {
            if scalar == " " || changesDisplay(scalar) {
                owesSpace = count > 0
                continue
            }
            let length = UTF8.width(scalar) + (owesSpace ? 1 : 0)
            guard count + length <= limit - 3 else {
                line.append(contentsOf: "...".unicodeScalars)
                break
            }
            if owesSpace { line.append(" ") }
            line.append(scalar)
            count += length
            owesSpace = false
        }
        return count > 0 ? String(line) : nil
    }

    /// A line of at most 1,024 bytes, the limit for a message: the envelope can contain a message twice.
    static func line(_ text: String) -> String? { line(text, limit: 1024) }

    /// The start of a text, at most `limit` bytes, cut between scalars.
    static func front(of text: String, limit: Int) -> (text: String, isTruncated: Bool) {
        guard text.utf8.count > limit else { return (text, false) }
        var front = String.UnicodeScalarView()
        var count = 0
        for scalar in text.unicodeScalars {
            count += UTF8.width(scalar)
            guard count <= limit else { break }
            front.append(scalar)
        }
        return (String(front), true)
    }

    private static func changesDisplay(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        // Controls, the separators of lines and paragraphs, and the overrides of direction.
        case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
