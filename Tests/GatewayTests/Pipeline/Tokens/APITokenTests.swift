import Policy
import Testing

@testable import Gateway

@Suite("Token text")
struct APITokenTests {
    private func token(_ bytes: [UInt8]) throws -> [UInt8] {
        Array(try #require(create(bytes)).utf8)
    }

    private func create(_ bytes: [UInt8]) -> String? { APIToken.create(random: bytes.span) }

    private func isWellFormed(_ text: [UInt8]) -> Bool { APIToken.isWellFormed(text.span) }

    @Test("APIToken: tokens of any bytes have the one form", arguments: [0x00, 0x01, 0x7F, 0xFF] as [UInt8])
    func form(byte: UInt8) throws {
        let text = try token([UInt8](repeating: byte, count: 32))
        #expect(text.count == APIToken.count)
        #expect(text.starts(with: "cgw_".utf8))
        #expect(TokenMask.masked("a \(String(decoding: text, as: UTF8.self)) b") == "a cgw_*** b")
        #expect(isWellFormed(text))
    }

    @Test("APIToken: only 32 bytes make a token")
    func wrongCount() {
        #expect(create([]) == nil)
        #expect(create([UInt8](repeating: 1, count: 31)) == nil)
        #expect(create([UInt8](repeating: 1, count: 33)) == nil)
    }

    @Test("APIToken: different bytes make different tokens")
    func distinct() throws {
        var random = FastRandom()
        var seen: Set<[UInt8]> = []
        for _ in 0..<2000 {
            seen.insert(try token((0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }))
        }
        // One bit apart.
        for bit in 0..<256 {
            var bytes = [UInt8](repeating: 0, count: 32)
            bytes[bit / 8] = 1 << (bit % 8)
            seen.insert(try token(bytes))
        }
        #expect(seen.count == 2256)
    }

    @Test("APIToken: every typing error is found: a changed, lost, doubled or swapped character")
    func typos() throws {
        var random = FastRandom()
        let text = try token((0..<32).map { _ in UInt8.random(in: 0...255, using: &random) })
        for index in text.indices {
            for byte in UInt8.min...UInt8.max where byte != text[index] {
                var changed = text
                changed[index] = byte
                #expect(!isWellFormed(changed))
            }
            var shorter = text
            shorter.remove(at: index)
            #expect(!isWellFormed(shorter))
            var longer = text
            longer.insert(text[index], at: index)
            #expect(!isWellFormed(longer))
            if index > 0, text[index] != text[index - 1] {
                var swapped = text
                swapped.swapAt(index, index - 1)
                #expect(!isWellFormed(swapped))
            }
        }
    }

    @Test("APIToken: a token with a wrong checksum is mistyped; other texts were made elsewhere")
    func mistyped() throws {
        func isMistyped(_ text: [UInt8]) -> Bool { APIToken.isMistyped(text.span) }
        let text = try token((0..<32).map { $0 })
        #expect(!isMistyped(text))
        var changed = text
        changed.swapAt(10, 11)
        #expect(text[10] == text[11] || isMistyped(changed))
        changed = text
        changed[52] = changed[52] == UInt8(ascii: "a") ? UInt8(ascii: "b") : UInt8(ascii: "a")
        #expect(isMistyped(changed))
        changed[20] = UInt8(ascii: "-")
        #expect(!isMistyped(changed))
        #expect(!isMistyped(text.dropLast()))
        #expect(!isMistyped(Array("xyz_".utf8) + text.dropFirst(4)))
    }
}
