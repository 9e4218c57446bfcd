internal import JSON

/// The part of a source line that a diagnostic shows, with stars for what may be a secret.
///
/// Its cost does not depend on the length of the line: a file that was written by a program may have one of a megabyte.
package struct SourceExcerpt: Equatable, Sendable {
    package let line: String
    /// What stands before the caret, so that it is below the place.
    package let indent: String

    /// The most characters of a line that are shown.
    private static let maxWidth = 160

    /// What is around the byte at `offset`; `isHidden` tells which bytes are not shown.
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
            // The tab itself keeps the caret under its character, however wide a tab is shown.
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
