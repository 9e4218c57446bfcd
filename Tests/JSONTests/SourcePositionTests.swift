import Testing

@testable import JSON

@Suite("Positions in a text")
struct SourcePositionTests {
    private static let texts = [
        "", "\n", "a", "one\r\ntwo\n\nthree", String(repeating: "x\u{E9}\u{1F600}", count: 300),
        String(repeating: "0123456789\n", count: 100), "short\n" + String(repeating: "ab\u{E9}", count: 400) + "\nlast",
    ]

    @Test("SourcePosition: each offset has the line and column that counting from the start finds", arguments: texts)
    func positions(text: String) {
        let source = SourceText(name: "text", bytes: Array(text.utf8))
        var (line, column) = (1, 1)
        for (offset, byte) in source.bytes.enumerated() {
            if offset > 0, byte & 0xC0 != 0x80 {
                let isNewLine = source.bytes[offset - 1] == UInt8(ascii: "\n")
                (line, column) = isNewLine ? (line + 1, 1) : (line, column + 1)
            }
            let isFirst = byte & 0xC0 != 0x80
            if isFirst { #expect(source.position(of: offset) == SourcePosition(line: line, column: column)) }
        }
    }

    @Test("SourcePosition: steps are whole characters, forth and back, and end with the range")
    func steps() {
        let source = SourceText(name: "text", bytes: Array("a\u{E9}\u{1F600}z".utf8))
        let whole = 0..<source.bytes.count
        #expect((0...5).map { source.offset($0, charactersFrom: 0, in: whole) } == [0, 1, 3, 7, 8, 8])
        #expect((0...5).map { source.offset(-$0, charactersFrom: 8, in: whole) } == [8, 7, 3, 1, 0, 0])
        #expect(source.offset(3, charactersFrom: 0, in: 0..<3) == 3)
    }
}
