import HTTP
import Testing

@Suite("Field names")
struct FieldNameTests {
    /// As what the name is read. `position` counts the fields in front of it: close to the end of the bytes a name is
    /// read another way than in front of many.
    private func name(of text: String, at position: Int) -> FieldName? {
        let values = ["host": "a", "content-length": "1", "transfer-encoding": "chunked", "expect": "100-continue"]
        var fields = Array(repeating: "another-name: with a value", count: 2)
        fields.insert("\(text): \(values[text.lowercased()] ?? "a")", at: position)
        let head = HeadOutcome(headText(fields, host: text.lowercased() != "host")).head
        return head?.names[text.lowercased() == "host" ? position : position + 1]
    }

    @Test(
        "FieldName: every known name is recognized by its spelling, in any case",
        arguments: FieldName.allCases.dropFirst())
    func spellings(known: FieldName) {
        for position in 0...2 {
            #expect(name(of: known.spelling, at: position) == known)
            #expect(name(of: known.spelling.uppercased(), at: position) == known)
            let mixed = known.spelling.enumerated().map { $0 % 2 == 0 ? $1.uppercased() : String($1) }.joined()
            #expect(name(of: mixed, at: position) == known)
        }
    }

    @Test("FieldName: a name that differs in one character is another name", arguments: FieldName.allCases.dropFirst())
    func neighbours(known: FieldName) {
        let spelling = Array(known.spelling)
        for index in spelling.indices {
            for character in "_~^.0Zz|-" where character != spelling[index] {
                var other = spelling
                other[index] = character
                let expected = FieldName.allCases.first { $0.spelling == String(other).lowercased() } ?? .other
                for position in [0, 2] { #expect(name(of: String(other), at: position) == expected) }
            }
        }
        for position in [0, 2] {
            #expect(name(of: known.spelling + "x", at: position) == .other)
            #expect(name(of: "x" + known.spelling, at: position) == .other)
            #expect(name(of: String(known.spelling.dropLast()), at: position) == .other)
        }
    }

    @Test("FieldName: a name of any length is read whole", arguments: 1...70)
    func lengths(length: Int) throws {
        let long = String(repeating: "n", count: length)
        let head = try #require(
            HeadOutcome(headText(["\(long): v", "Host: b"], line: "GET / HTTP/1.0", host: false)).head)
        #expect(head.fields == ["\(long): v", "Host: b"])
        #expect(head.names == [.other, .host])
    }

    @Test("FieldName: a set of names has those that were put in, and no other")
    func sets() {
        for known in FieldName.allCases.dropFirst() {
            var set: FieldNameSet = [known]
            #expect(FieldName.allCases.filter(set.contains) == [known])
            set = set.union([.host, .xRateLimitReset])
            #expect(Set(FieldName.allCases.filter(set.contains)) == [known, .host, .xRateLimitReset])
        }
        // The set is one word.
        #expect(FieldName.allCases.count <= 64)
    }

    @Test("FieldName: a known name is known with underscores too, and nothing else is")
    func disguised() {
        func isAlias(_ name: String) -> Bool {
            let bytes = Array(name.utf8)
            return FieldName.isAlias(bytes.span, 0..<bytes.count)
        }
        for name in FieldName.allCases where name.spelling.contains("-") {
            let spelling = name.spelling.uppercased()
            #expect(isAlias(String(spelling.map { $0 == "-" ? "_" : $0 })))
            #expect(!isAlias(spelling))
            #expect(FieldName(spelledAs: spelling) == name)
        }
        #expect(isAlias("transfer_encoding") && isAlias("x_api-key"))
        #expect(!isAlias("x_custom") && !isAlias("_") && !isAlias("host_") && !isAlias("host"))
    }
}
