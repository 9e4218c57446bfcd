import JSON
import Testing

@Suite("Reading JSON5")
struct JSON5Tests {
    @Test(
        "JSON5: what JSON5 allows means what its specification says",
        arguments: [
            ("// c\n1", "1"), ("1 // c", "1"), ("1 //", "1"), ("/* c\n* / **/ 1", "1"), ("/**/1/**/", "1"),
            ("// c\r1", "1"), ("// c\u{2028}1", "1"), ("\u{feff}1", "1"), ("\u{a0}\u{b}\u{c}\u{2028}\u{3000}1", "1"),
            ("[1,]", "[1]"), ("{a:1,}", #"{"a":1}"#), ("[ // c\n 1, /* d */ 2, ]", "[1,2]"),
            ("{a:1,_b:2,$c:3,d4:4}", #"{"a":1,"_b":2,"$c":3,"d4":4}"#), ("{'a b':1}", #"{"a b":1}"#),
            ("{null:1,true:2,Infinity:3}", #"{"null":1,"true":2,"Infinity":3}"#),
            ("{\u{e9}t\u{e9}:1}", "{\"\u{e9}t\u{e9}\":1}"), ("{\\u0061b:1}", #"{"ab":1}"#), ("{a\\u{62}:1}", nil),
            ("'a\"b'", #""a\"b""#), ("\"a'b\"", #""a'b""#), (#"'a\'b'"#, #""a'b""#),
            (#"'\x41\v\0\q\"'"#, #""A\u000b\u0000q\"""#),
            ("'a\\\nb\\\r\nc\\\rd\\\u{2028}e'", #""abcde""#), ("'\u{2028}'", "\"\u{2028}\""),
            ("'\\\u{e9}'", "\"\u{e9}\""),
            ("'a\tb'", #""a\tb""#), ("0x1F", "31"), ("-0XfF", "-255"), ("+1", "1"), (".5", "0.5"), ("5.", "5"),
            ("-.5", "-0.5"),
            ("5.e2", "500"), ("+0x10", "16"), ("Infinity", "null"), ("-Infinity", "null"), ("NaN", "null"),
            ("+NaN", "null"),
            ("0xFFFFFFFFFFFFFFFFF", "2.9514790517935283e+20"), ("-0x8000000000000000", "-9223372036854775808"),
        ] as [(String, String?)])
    func valid(text: String, json: String?) throws {
        guard let json else {
            #expect(throws: JSONError.self) { try read(text) }
            return
        }
        var writer = JSONWriter()
        writer.value(try read(text))
        #expect(String(decoding: writer.bytes, as: UTF8.self) == json)
    }

    @Test(
        "JSON5: what JSON5 does not allow is refused",
        arguments: [
            "", "// only a comment", "[,]", "[1,,2]", "{,}", "{a}", "{a:}", "{a b:1}", "{a-b:1}", "{a.b:1}", "{1a:1}",
            "{10:1}",
            "{a:1 b:2}", "010", "0x", "0x1g", "1.2.3", ".", "+", "-", "+-1", "1_000", "- 1", "++1", "infinity", "nan",
            "True", "undefined",
            "'a\nb'", "'a", "'a\"", "\"a'", "'\\1'", "'\\01'", "'\\x4'", "'\\xZZ'", "'\\uD800'", "'\\u{41}'", "/* open",
            "/*/", "/", "#c\n1", "`a`",
            "{\\u0030a:1}", "{a\\x62:1}", "1 /", "[1}", "{a:1]",
        ])
    func invalid(text: String) {
        #expect(throws: JSONError.self) { try read(text) }
    }

    @Test("JSON5: every RFC 8259 text is JSON5 with the same meaning")
    func superset() throws {
        let text = #"{"a":[1,-2.5e3,true,false,null,"\u00e9\n\"\\"],"":{}}"#
        var one = JSONWriter()
        one.value(try JSONValue.read(Array(text.utf8).span))
        var other = JSONWriter()
        other.value(try read(text))
        #expect(one.bytes == other.bytes)
    }

    @Test("JSON5: names in different spellings are the same name")
    func duplicates() {
        for text in ["{a:1,'a':2}", "{'a':1,\"\\u0061\":2}", "{a:1,\\u0061:2}"] {
            let error = #expect(throws: JSONError.self) { try read(text) }
            guard case .duplicateName("a", _) = error?.kind else {
                Issue.record("\(text): \(String(describing: error))")
                continue
            }
        }
    }

    @Test("JSON5: the range of an unquoted name is the name")
    func nameRange() throws {
        let value = try read("{ name /* c */ : 0x10 }")
        let member = try #require(value.object?.first)
        #expect(member.nameRange == SourceRange(2..<6))
        #expect(member.value.range == SourceRange(17..<21))
        #expect(member.value.integer == 16)
    }

    @Test("JSON5: an unknown word is reported whole")
    func words() {
        let error = #expect(throws: JSONError.self) { try read("{a: enabled}") }
        #expect(error?.kind == .unexpected(found: "\"enabled\"", expected: "a value"))
        let dotted = #expect(throws: JSONError.self) { try read("{jobs.trigger: 1}") }
        #expect(dotted?.kind == .unexpected(found: "\".\"", expected: "\":\""))
    }
}

private func read(_ text: String) throws(JSONError) -> JSONValue {
    try JSONValue.read(Array(text.utf8).span, as: .json5)
}
