import JSON
import Testing

@Suite("Reading RFC 8259")
struct JSONReaderTests {
    @Test("JSONReader: a valid text is read", arguments: validTexts)
    func valid(text: String) throws {
        _ = try read(text)
    }

    @Test("JSONReader: a text that RFC 8259 does not allow is refused", arguments: invalidTexts)
    func invalid(text: String) {
        #expect(throws: JSONError.self) { try read(text) }
    }

    @Test(
        "JSONReader: bytes that are not UTF-8 are refused",
        arguments: [
            [0x22, 0xFF, 0x22], [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
            [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22],
            [0x22, 0xE2, 0x82, 0x22], [0x80], [0x22, 0xC3],
        ] as [[UInt8]])
    func invalidUTF8(bytes: [UInt8]) {
        for syntax in [JSONSyntax.json, .json5] {
            let error = #expect(throws: JSONError.self) { try JSONValue.read(bytes.span, as: syntax) }
            #expect(error?.kind == .invalidUTF8)
        }
    }

    @Test("JSONReader: every kind of value arrives with its value")
    func kinds() throws {
        let value = try read(#"{"n":null,"t":true,"f":false,"i":-12,"d":1.5e2,"s":"x","a":[1,"2"],"o":{"k":0}}"#)
        #expect(value["n"]?.isNull == true)
        #expect(value["t"]?.bool == true)
        #expect(value["f"]?.bool == false)
        #expect(value["i"]?.integer == -12)
        #expect(value["d"]?.double == 150)
        #expect(value["d"]?.integer == nil)
        #expect(value["s"]?.string == "x")
        #expect(value["a"]?.array?.count == 2)
        #expect(value["o"]?["k"]?.integer == 0)
        #expect(value["absent"] == nil)
        #expect(value.object?.map(\.name) == ["n", "t", "f", "i", "d", "s", "a", "o"])
    }

    @Test(
        "JSONReader: escapes become their characters",
        arguments: [
            (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (#""\u0041\u00e9\u20AC\uD83D\uDE00""#, "A\u{e9}\u{20ac}\u{1F600}"),
            (#""a\u0000b""#, "a\0b"),
            ("\"\u{7f}\u{2028}\u{1F600}\"", "\u{7f}\u{2028}\u{1F600}"),
        ])
    func escapes(text: String, expected: String) throws {
        let value = try read(text)
        #expect(value.string.map { Array($0.utf8) } == Array(expected.utf8))
    }

    @Test("JSONReader: ranges cover a value and its name to the byte")
    func ranges() throws {
        let text = #" {"ab" : [ 10, "x" ] } "#
        let value = try read(text)
        #expect(value.range == SourceRange(1..<22))
        let member = try #require(value.object?.first)
        #expect(member.nameRange == SourceRange(2..<6))
        #expect(member.value.range == SourceRange(9..<20))
        #expect(member.value.array?.map(\.range) == [SourceRange(11..<13), SourceRange(15..<18)])
    }

    @Test(
        "JSONReader: a name that appears twice is refused at any depth, and both positions are reported",
        arguments: [
            (#"{"a":1,"a":2}"#, 1..<4, 7..<10),
            (#"[{"b":{"a":1,"c":2,"a":3}}]"#, 7..<10, 19..<22),
            (#"{"a":1,"\u0061":2}"#, 1..<4, 7..<15),
            (
                #"{"0":0,"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"10":0,"11":0,"12":0,"1":0}"#, 7..<10,
                82..<85
            ),
        ])
    func duplicates(text: String, first: Range<Int>, second: Range<Int>) {
        let error = #expect(throws: JSONError.self) { try read(text) }
        #expect(error?.range == SourceRange(second))
        guard case .duplicateName(_, let other) = error?.kind else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(other == SourceRange(first))
    }

    @Test("JSONReader: names that only look alike are not the same name")
    func lookalikes() throws {
        let value = try read("{\"\u{e9}\":1,\"e\u{301}\":2,\"\u{212A}\":3,\"K\":4}")
        #expect(value["K"]?.integer == 4)
        #expect(value["e\u{301}"]?.integer == 2)
    }

    @Test("JSONReader: nesting is refused beyond the limit, and only there")
    func depth() throws {
        let limits = JSONLimits(depth: 3)
        _ = try JSONValue.read(Array("[[[1]]]".utf8).span, limits: limits)
        _ = try JSONValue.read(Array(#"{"a":{"a":{"a":1}}}"#.utf8).span, limits: limits)
        let error = #expect(throws: JSONError.self) {
            try JSONValue.read(Array("[[[[1]]]]".utf8).span, limits: limits)
        }
        #expect(error == JSONError(kind: .tooDeep(limit: 3), range: SourceRange(3..<4)))
    }

    @Test(
        "JSONReader: a million brackets end at the depth limit, not on the stack",
        arguments: ["[", "{\"a\":", "[{\"a\":"])
    func bomb(unit: String) {
        let text = String(repeating: unit, count: 1_000_000)
        let error = #expect(throws: JSONError.self) {
            try JSONValue.read(Array(text.utf8).span, limits: JSONLimits(depth: .max, values: .max))
        }
        #expect(error?.kind == .tooDeep(limit: 512))
    }

    @Test("JSONReader: more values than the limit are refused")
    func count() throws {
        _ = try JSONValue.read(Array("[1,2,3]".utf8).span, limits: JSONLimits(values: 4))
        let error = #expect(throws: JSONError.self) {
            try JSONValue.read(Array("[1,2,3,4]".utf8).span, limits: JSONLimits(values: 4))
        }
        #expect(error?.kind == .tooManyValues(limit: 4))
    }

    @Test("JSONReader: a text cut off anywhere is refused", arguments: [JSONSyntax.json, .json5])
    func everyCut(syntax: JSONSyntax) throws {
        let bytes = Array(#"{"a":[1.5e3,true,null,"x\u00e9\n",{"b":-0}]}"#.utf8)
        _ = try JSONValue.read(bytes.span, as: syntax)
        for cut in 0..<bytes.count {
            #expect(throws: JSONError.self) { try JSONValue.read(bytes.span.extracting(0..<cut), as: syntax) }
        }
    }

    @Test("JSONReader: no mutated byte traps the reader", arguments: [JSONSyntax.json, .json5])
    func everyMutation(syntax: JSONSyntax) throws {
        let original = Array(#"{'a':[1.5e3,0x1F,tru\u0065,"\uD83D\uDE00\x41",{$b:-0,},/**/],//"#.utf8)
        for index in original.indices {
            var bytes = original
            for replacement in UInt8.min...UInt8.max {
                bytes[index] = replacement
                do {
                    let value = try JSONValue.read(bytes.span, as: syntax)
                    #expect(value.range.upperBound <= bytes.count)
                } catch {
                    #expect(error.range.lowerBound <= error.range.upperBound)
                    #expect(error.range.upperBound <= bytes.count)
                    #expect(!error.message.isEmpty)
                }
            }
        }
    }

    @Test(
        "JSONReader: a mistake is reported where it is",
        arguments: [
            ("{\"a\" 1}", JSONError.Kind.unexpected(found: "\"1\"", expected: "\":\""), 5..<6),
            ("[1 2]", .unexpected(found: "\"2\"", expected: "\",\" or \"]\""), 3..<4),
            ("[1,]", .trailingComma, 2..<3),
            ("[01]", .leadingZero, 1..<3),
            ("[1.]", .invalidNumber, 1..<3),
            ("[truth]", .unexpected(found: "\"truth\"", expected: "a value"), 1..<6),
            ("\"a\nb\"", .unterminatedString, 0..<2),
            ("\"\\q\"", .invalidEscape, 1..<3),
            ("\"\\ud800\"", .loneSurrogate, 1..<7),
            ("1 x", .trailingContent, 2..<3),
            ("", .unexpectedEnd(expected: "a value"), 0..<0),
            ("\u{feff}1", .byteOrderMark, 0..<3),
        ])
    func positions(text: String, kind: JSONError.Kind, range: Range<Int>) {
        let error = #expect(throws: JSONError.self) { try read(text) }
        #expect(error == JSONError(kind: kind, range: SourceRange(range)))
    }

    @Test(
        "JSONReader: numbers keep their digits and know whether they are integers",
        arguments: [
            ("0", 0 as Int64?, 0.0), ("-0", 0, 0), ("9223372036854775807", .max, 9.223372036854775807e18),
            ("-9223372036854775808", .min, -9.223372036854775808e18),
            ("9223372036854775808", nil, 9.223372036854775808e18),
            ("1.0", nil, 1), ("1e3", nil, 1000), ("1E-2", nil, 0.01), ("1e400", nil, .infinity),
        ])
    func numbers(text: String, integer: Int64?, double: Double) throws {
        let value = try read(text)
        guard case .number(let number) = value.kind else {
            Issue.record("no number")
            return
        }
        #expect(number.text == text)
        #expect(number.integer == integer)
        #expect(number.double == double)
    }

    @Test("JSONReader: names are told apart by their bytes, however many combining marks they have")
    func marks() throws {
        // Putting these marks in order, as `==` and the hash of a String do, would take minutes.
        let marks = String(repeating: "\u{315}\u{300}", count: 50_000)
        let members = (0..<24).map { "\"a\(marks)\($0)\":\($0)" }.joined(separator: ",")
        let start = ContinuousClock.now
        let value = try read("{\(members),\"\u{e9}\":1,\"e\u{301}\":2}")
        #expect(value["a\(marks)23"]?.integer == 23)
        #expect(value["\u{e9}"]?.integer == 1 && value["e\u{301}"]?.integer == 2)
        let error = #expect(throws: JSONError.self) { try read("{\"a\(marks)\":1,\(members),\"a\(marks)\":2}") }
        #expect((error?.message.utf8.count ?? 0) < 1000)
        #expect(ContinuousClock.now - start < .seconds(20))
    }
}

private func read(_ text: String) throws(JSONError) -> JSONValue {
    try JSONValue.read(Array(text.utf8).span)
}

private let validTexts = [
    "null", "true", "false", "0", "-0", "-1", "123.456e-7", "1E+2", "\"\"", "[]", "{}", " \t\r\n[ ] ", "{\"\":0}",
    "[[],[[]],{}]", "{\"a\":{\"b\":[null]}}", "\"\\u0000\"", "\"\u{10FFFF}\"", "\"\\uDBFF\\uDFFF\"", "\"\\u005C\"",
    "[1,\n2 ,3]", "\"\u{2028}\u{2029}\"", "\"\u{7f}\"", "-1e-10", "20e1", "0.5", "0e1", "\"// no comment\"",
]

private let invalidTexts = [
    "", " ", "nul", "nulls", "True", "TRUE", "undefined", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "-01", "1.",
    ".1", "-.1", "1e", "1e+", "1.e1", "0x1", "1_000", "1a", "1 2", "[", "]", "[1", "[1,", "[,1]", "[1,,2]", "[1,]",
    "[1 2]", "{", "}", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{a:1}", "{'a':1}", "{1:1}",
    "{\"a\" 1}", "{\"a\"::1}", "{\"a\":1 \"b\":2}", "{null:1}", "'a'", "\"", "\"a", "\"\\\"", "\"\\x41\"", "\"\\u12\"",
    "\"\\u12G4\"", "\"\\v\"", "\"\\'\"", "\"\\0\"", "\"\\uD800\"", "\"\\uD800\\u0041\"", "\"\\uDC00\"",
    "\"\\uDC00\\uD800\"",
    "\"\\uD800\\uD800\"", "\"\\uD800\\n\"", "\"a\u{1}b\"", "\"\t\"", "\"a\nb\"", "\"\u{0}\"", "\u{feff}[]",
    "[]\u{feff}",
    "\u{a0}[]", "\u{c}[]", "//c\n[]", "[]//c", "/**/[]", "[]x", "[]]", "{}}", "1,", "\"a\"\"b\"", "[1]\u{0}", "-foo",
    "--1",
    "1e5.5", "\u{2060}1", "\\u0031", "*", "&", "#{}", "{\"a\":\"b\"}/", "[\"a\\\u{0}\"]", "<a>",
]
