internal import Bytes

/// A pattern in which `*` stands for any text, compared without regard to the case of ASCII letters.
///
/// The text comes from an upstream, so matching takes one pass over it for every text and pattern: each piece between
/// stars is searched once, with the algorithm of Knuth, Morris and Pratt, without going back.
struct Glob: Equatable, Sendable {
    /// The texts between the stars; the first and the last must be at the ends of the text.
    private let pieces: [Piece]

    fileprivate struct Piece: Equatable, Sendable {
        let bytes: [UInt8]
        /// `borders[i]` is the length of the longest proper prefix of `bytes[...i]` that is its suffix too.
        let borders: [Int]
    }

    init(_ pattern: String) {
        let parts = pattern.utf8.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false)
        // Two stars in a row match like one.
        let kept = parts.indices.filter { $0 == 0 || $0 == parts.count - 1 || !parts[$0].isEmpty }
        pieces = kept.map { Piece(parts[$0].map(\.lowercased)) }
    }

    /// Whether the pattern matches all of `text`.
    func matches(_ text: Span<UInt8>) -> Bool {
        let (first, last) = (pieces[0], pieces[pieces.count - 1])
        guard pieces.count > 1 else { return text.count == first.bytes.count && first.stands(in: text, at: 0) }
        let end = text.count - last.bytes.count
        guard end >= first.bytes.count, first.stands(in: text, at: 0), last.stands(in: text, at: end) else {
            return false
        }
        var start = first.bytes.count
        for piece in pieces[1..<(pieces.count - 1)] {
            // The leftmost match leaves the most text for the pieces after it.
            guard let next = piece.end(in: text, start..<end) else { return false }
            start = next
        }
        return true
    }
}

extension Glob.Piece {
    fileprivate init(_ bytes: [UInt8]) {
        self.bytes = bytes
        var borders = [Int](repeating: 0, count: bytes.count)
        var border = 0
        for index in bytes.indices.dropFirst() {
            while border > 0, bytes[index] != bytes[border] { border = borders[border - 1] }
            if bytes[index] == bytes[border] { border += 1 }
            borders[index] = border
        }
        self.borders = borders
    }

    fileprivate func stands(in text: Span<UInt8>, at start: Int) -> Bool {
        for index in bytes.indices {
            guard start + index < text.count, text[start + index].lowercased == bytes[index] else { return false }
        }
        return true
    }

    /// The end of the piece's first match in `range`.
    fileprivate func end(in text: Span<UInt8>, _ range: Range<Int>) -> Int? {
        var matched = 0
        for index in range {
            let byte = text[index].lowercased
            while matched > 0, byte != bytes[matched] { matched = borders[matched - 1] }
            if byte == bytes[matched] { matched += 1 }
            if matched == bytes.count { return index + 1 }
        }
        return nil
    }
}
