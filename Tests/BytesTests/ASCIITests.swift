import Bytes
import Testing

@Suite("ASCII")
struct ASCIITests {
    private static let lower = "abcdefghijklmnopqrstuvwxyz"
    private static let upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    private static let digits = "0123456789"

    @Test("ASCII: each class has the characters that its standard lists, and no other byte")
    func classes() {
        for byte in UInt8.min...UInt8.max {
            func isOne(of characters: String) -> Bool { characters.utf8.contains(byte) }
            let isLetter = isOne(of: Self.lower + Self.upper)
            #expect(byte.isDigit == isOne(of: Self.digits))
            #expect(byte.isUppercaseLetter == isOne(of: Self.upper))
            #expect(byte.isLetter == isLetter)
            #expect(byte.isLetterOrDigit == (isLetter || byte.isDigit))
            #expect(byte.isUnreserved == (byte.isLetterOrDigit || isOne(of: "-._~")))
            #expect(byte.isTokenByte == (byte.isLetterOrDigit || isOne(of: "!#$%&'*+-.^_`|~")))
        }
    }

    @Test("ASCII: a letter is lower-cased, any other byte stays")
    func lowercased() {
        for byte in UInt8.min...UInt8.max {
            #expect(byte.lowercased == (byte.isUppercaseLetter ? byte + 32 : byte))
        }
    }

    @Test("ASCII: characters have the codes that the compiler gives them")
    func characters() {
        let named: [UInt8] = [
            .space, .quote, .apostrophe, .asterisk, .comma, .hyphen, .dot, .slash, .zeroDigit, .colon, .semicolon,
            .questionMark, .openBracket, .backslash, .closeBracket, .underscore, .openBrace, .closeBrace,
        ]
        #expect(String(decoding: named, as: UTF8.self) == " \"'*,-./0:;?[\\]_{}")
        #expect([.tab, .lineFeed, .carriageReturn] == Array("\t\n\r".utf8))
    }

    @Test("ASCII: a text is spelt in any case, and only whole")
    func spells() {
        func spells(_ text: String, in range: Range<Int>) -> Bool {
            Array("xKeep-Alive[".utf8).span.spells(text, in: range)
        }
        #expect(spells("keep-alive", in: 1..<11))
        #expect(!spells("keep-alive", in: 1..<10))
        #expect(!spells("keep-alive", in: 0..<10))
        #expect(!spells("{", in: 11..<12))
    }
}
