/// A text with a name, and the way from byte offsets to lines and columns.
package struct SourceText: Sendable {
    /// The name shown to people, as a rule a path.
    package let name: String
    package let bytes: [UInt8]
    /// Where each line starts.
    private let lineStarts: [Int]

    package init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
        var starts = [0]
        for index in bytes.indices where bytes[index] == .lineFeed { starts.append(index + 1) }
        lineStarts = starts
    }

    /// The position of the byte at `offset`; the end of the text has one too.
    ///
    /// Columns count characters (Unicode scalars), as editors do.
    package func position(of offset: Int) -> SourcePosition {
        let offset = min(max(offset, 0), bytes.count)
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        var column = 1
        for index in lineStarts[low]..<offset where !bytes[index].continuesCharacter { column += 1 }
        return SourcePosition(line: low + 1, column: column)
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
