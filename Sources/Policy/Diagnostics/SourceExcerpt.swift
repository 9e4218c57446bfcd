internal import JSON

/// The part of a source line that a diagnostic shows, with stars for possible secrets.
///
/// Its cost does not depend on the length of the line: generated files may have lines of a megabyte.
package struct SourceExcerpt: Equatable, Sendable {
    /// At most 160 characters, and `...` for each end that is cut. Control characters except tabs are shown as `?`.
    package let line: String
    /// The white space that aligns the caret with the position.
    package let indent: String

    /// The maximum of characters shown.
    private static let maxWidth = 160

    /// The text around the byte at `offset`; stars replace the bytes for which `isHidden` is true.
    init(of text: SourceText, at offset: Int, isHidden: (Int) -> Bool) {
        let whole = text.lineRange(at: offset)
        let offset = min(max(offset, whole.lowerBound), whole.upperBound)
        var start = whole.lowerBound
        if text.offset(Self.maxWidth, charactersFrom: start, in: whole) < whole.upperBound {
            start = text.offset(-Self.maxWidth / 2, charactersFrom: offset, in: whole)
        }
        let end = text.offset(Self.maxWidth, charactersFrom: start, in: whole)
        var line = start > whole.lowerBound ? "..." : ""
        var indent = start > whole.lowerBound ? "   " : ""
        var next = start
        while next < end {
            let this = next
            next = text.offset(1, charactersFrom: this, in: whole)
            let shown = isHidden(this) ? "*" : Self.printable(String(decoding: text.bytes[this..<next], as: UTF8.self))
            line += shown
            // A tab stays a tab: the caret is aligned for every tab width.
            if this < offset { indent += shown == "\t" ? "\t" : " " }
        }
        self.line = end < whole.upperBound ? line + "..." : line
        self.indent = indent
    }

    private static func printable(_ character: String) -> String {
        guard let scalar = character.unicodeScalars.first else { return "" }
        return scalar.value < 0x20 && scalar != "\t" || scalar.value == 0x7F ? "?" : character
    }
}
