import JSON
import Testing

@Suite("Writing JSON")
struct JSONWriterTests {
    @Test("JSONWriter: commas stand between siblings and nowhere else")
    func commas() {
        var writer = JSONWriter(into: Array("> ".utf8))
        writer.beginObject()
        writer.name("a")
        writer.beginArray()
        writer.endArray()
        writer.name("b")
        writer.beginArray()
        writer.integer(1)
        writer.beginObject()
        writer.endObject()
        writer.null()
        writer.bool(true)
        writer.endArray()
        writer.name("c")
        writer.raw(Array(#"{"x":[]}"#.utf8).span)
        writer.name("d")
        writer.string(utf8: Array("e".utf8).span)
        writer.endObject()
        #expect(text(writer) == #"> {"a":[],"b":[1,{},null,true],"c":{"x":[]},"d":"e"}"#)
    }

    @Test(
        "JSONWriter: characters are escaped where they must be",
        arguments: [
            ("plain", #""plain""#), ("\"\\/", #""\"\\/""#), ("\n\r\t\u{8}\u{c}", #""\n\r\t\b\f""#),
            ("\u{0}\u{1f}\u{7f}", #""\u0000\u001f\u007f""#), ("\u{e9}\u{2028}\u{1F600}", "\"\u{e9}\u{2028}\u{1F600}\""),
        ])
    func escapes(string: String, json: String) {
        var writer = JSONWriter()
        writer.string(string)
        #expect(text(writer) == json)
        writer = JSONWriter()
        writer.string(utf8: Array(string.utf8).span)
        #expect(text(writer) == json)
    }

    @Test("JSONWriter: every character survives a round trip")
    func roundTrip() throws {
        var string = ""
        for value in [
            0...0x2FF, 0x2000...0x20FF, 0xD7F0...0xD7FF, 0xE000...0xE010, 0xFFF0...0x1000F, 0x10FFF0...0x10FFFF,
        ] {
            for code in value { if let scalar = Unicode.Scalar(UInt32(code)) { string.unicodeScalars.append(scalar) } }
        }
        var writer = JSONWriter()
        writer.string(string)
        let read = try JSONValue.read(writer.bytes.span)
        #expect(read.string.map { Array($0.utf8) } == Array(string.utf8))
    }

    @Test("JSONWriter: bytes that are not UTF-8 are replaced, never passed on")
    func invalidUTF8() throws {
        var writer = JSONWriter()
        writer.string(utf8: ([0x61, 0xFF, 0x62] as [UInt8]).span)
        #expect(text(writer) == "\"a\u{fffd}b\"")
    }

    @Test("JSONWriter: integers of every width are written in full")
    func integers() {
        var writer = JSONWriter()
        writer.beginArray()
        writer.integer(0)
        writer.integer(Int64.min)
        writer.integer(UInt64.max)
        writer.integer(Int8(-7))
        writer.endArray()
        #expect(text(writer) == "[0,-9223372036854775808,18446744073709551615,-7]")
    }

    @Test(
        "JSONWriter: numbers are JSON numbers",
        arguments: [
            (0.0, "0"), (-1.5, "-1.5"), (1e21, "1e+21"), (3, "3"), (0.1, "0.1"), (.infinity, "null"), (.nan, "null"),
        ])
    func numbers(value: Double, json: String) throws {
        var writer = JSONWriter()
        writer.number(value)
        #expect(text(writer) == json)
        _ = try JSONValue.read(writer.bytes.span)
    }

    @Test(
        "JSONWriter: a value that was read is written as it was",
        arguments: [#"{"a":[1e400,9007199254740993,-0.0,"x",null,true]}"#, "[[],{}]"])
    func valueRoundTrip(json: String) throws {
        var writer = JSONWriter()
        writer.value(try JSONValue.read(Array(json.utf8).span))
        #expect(text(writer) == json)
    }
}

@Suite("Finding lines")
struct SourceTextTests {
    private let source = SourceText(name: "a.json5", bytes: Array("{\r\n  \"\u{e9}\": x,\n\n}".utf8))

    @Test(
        "JSON lines: columns count characters from 1",
        arguments: [
            (0, 1, 1), (3, 2, 1), (5, 2, 3), (6, 2, 4), (8, 2, 5), (9, 2, 6), (14, 3, 1), (15, 4, 1), (16, 4, 2),
            (99, 4, 2), (-1, 1, 1),
        ])
    func positions(offset: Int, line: Int, column: Int) {
        #expect(source.position(of: offset) == SourcePosition(line: line, column: column))
    }

    @Test("JSON lines: a line comes without its end")
    func lines() {
        #expect((0...5).map { source.line($0) } == ["", "{", "  \"\u{e9}\": x,", "", "}", ""])
    }
}

private func text(_ writer: JSONWriter) -> String { String(decoding: writer.bytes, as: UTF8.self) }
