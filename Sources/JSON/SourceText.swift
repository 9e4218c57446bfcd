internal import Bytes

/// A named text that converts byte offsets to lines and columns.
package struct SourceText: Sendable {
    /// The name shown to people, normally a path.
    package let name: String
    package let bytes: [UInt8]
    /// The offset of each line's start.
    private let lineStarts: [Int]
    /// The number of characters before each block: columns are found fast even in a long line.
    private let charactersBefore: [Int]

    private static let blockBytes = 256

    /// Reads all bytes once, to find the lines. Bytes that are not UTF-8 are allowed.
    package init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
        var starts = [0]
        var charactersBefore: [Int] = []
        var characters = 0
        for index in bytes.indices {
            if index % SourceText.blockBytes == 0 { charactersBefore.append(characters) }
            if !bytes[index].continuesCharacter { characters += 1 }
            if bytes[index] == .lineFeed { starts.append(index + 1) }
        }
        lineStarts = starts
        self.charactersBefore = charactersBefore
    }

    /// The position of the byte at `offset`; the end of the text has one too.
    ///
    /// Columns count characters (Unicode scalars), as editors do.
    package func position(of offset: Int) -> SourcePosition {
        let offset = min(max(offset, 0), bytes.count)
        let line = lineIndex(of: offset)
        return SourcePosition(
            line: line + 1, column: characters(before: offset) - characters(before: lineStarts[line]) + 1)
    }

    private func lineIndex(of offset: Int) -> Int {
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        return low
    }

    private func characters(before offset: Int) -> Int {
        guard let last = charactersBefore.indices.last else { return 0 }
        let block = min(offset / SourceText.blockBytes, last)
        var count = charactersBefore[block]
        for index in block * SourceText.blockBytes..<offset where !bytes[index].continuesCharacter { count += 1 }
        return count
    }

    /// The bytes of the line that the byte at `offset` is in, without its end.
    package func lineRange(at offset: Int) -> Range<Int> {
        let line = lineIndex(of: min(max(offset, 0), bytes.count))
        let start = lineStarts[line]
        var end = line + 1 < lineStarts.count ? lineStarts[line + 1] - 1 : bytes.count
        if end > start, bytes[end - 1] == .carriageReturn { end -= 1 }
        return start..<end
    }

    /// The offset `count` characters after `offset`, or before it if `count` is negative; always within `range`.
    package func offset(_ count: Int, charactersFrom offset: Int, in range: Range<Int>) -> Int {
        var offset = min(max(offset, range.lowerBound), range.upperBound)
        for _ in 0..<abs(count) {
            if count > 0 {
                guard offset < range.upperBound else { break }
                offset += 1
                while offset < range.upperBound, bytes[offset].continuesCharacter { offset += 1 }
            } else {
                guard offset > range.lowerBound else { break }
                offset -= 1
                while offset > range.lowerBound, bytes[offset].continuesCharacter { offset -= 1 }
            }
        }
        return offset
    }

    /// The text of a line, counted from 1, without its end.
    package func line(_ number: Int) -> String {
        guard lineStarts.indices.contains(number - 1) else { return "" }
        let start = lineStarts[number - 1]
        var end = number < lineStarts.count ? lineStarts[number] - 1 : bytes.count
        if end > start, bytes[end - 1] == .carriageReturn { end -= 1 }
        return String(decoding: bytes[start..<end], as: UTF8.self)
    }
}

/// A line and a column, both counted from 1.
package struct SourcePosition: Hashable, Sendable, CustomStringConvertible {
    package let line: Int
    package let column: Int

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    package var description: String { "\(line):\(column)" }
}

extension UInt8 {
    fileprivate var continuesCharacter: Bool { self & 0xC0 == 0x80 }
}
