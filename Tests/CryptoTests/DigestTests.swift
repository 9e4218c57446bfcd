import Foundation
import Testing

@testable import Crypto

@Suite("Digests, random bytes and ticket keys")
struct DigestTests {
    private func hex(_ bytes: [UInt8]) -> String { bytes.map { String(format: "%02x", $0) }.joined() }

    @Test("SHA-256 gives the values of FIPS 180-4", arguments: vectors)
    func digest(text: String, digest: String) {
        let bytes = Array(text.utf8)
        #expect(hex(SHA256.hash(bytes.span)) == digest)
    }

    static let vectors: [(String, String)] = [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            String(repeating: "a", count: 1_000_000),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        ),
    ]

    @Test("Lengths around the blocks of SHA-256 are padded as they should", arguments: lengths)
    func padding(length: Int, digest: String) {
        let bytes = (0..<length).map { UInt8($0 % 251) }
        #expect(hex(SHA256.hash(bytes.span)) == digest)
    }

    static let lengths: [(Int, String)] = [
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (3, "ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc"),
        (55, "463eb28e72f82e0a96c0a4cc53690c571281131f672aa229e0d45ae59b598b59"),
        (56, "da2ae4d6b36748f2a318f23e7ab1dfdf45acdc9d049bd80e59de82a60895f562"),
        (57, "2fe741af801cc238602ac0ec6a7b0c3a8a87c7fc7d7f02a3fe03d1c12eac4d8f"),
        (63, "29af2686fd53374a36b0846694cc342177e428d1647515f078784d69cdb9e488"),
        (64, "fdeab9acf3710362bd2658cdc9a29e8f9c757fcf9811603a8c447cd1d9151108"),
        (65, "4bfd2c8b6f1eec7a2afeb48b934ee4b2694182027e6d0fc075074f2fabb31781"),
        (119, "da18797ed7c3a777f0847f429724a2d8cd5138e6ed2895c3fa1a6d39d18f7ec6"),
        (120, "f52b23db1fbb6ded89ef42a23ce0c8922c45f25c50b568a93bf1c075420bbb7c"),
        (128, "471fb943aa23c511f6f72f8d1652d9c880cfa392ad80503120547703e56a2be5"),
        (1000, "4e4c294b331f7a2099a379bec34b9f9fc03dc46ab465d998f4d683da53487e6d"),
    ]

    @Test("One hasher digests one text after another")
    func reuse() {
        let hasher = SHA256()
        for (text, digest) in Self.vectors + Self.vectors.reversed() {
            let bytes = Array(text.utf8)
            #expect(hex(hasher.digest(of: bytes.span).bytes) == digest)
        }
    }

    @Test("The words of a digest are its bytes, most significant first")
    func words() {
        let bytes = Array("abc".utf8)
        let digest = SHA256().digest(of: bytes.span)
        #expect(digest.words.a == 0xBA78_16BF_8F01_CFEA)
        #expect(digest.words.d == 0xB410_FF61_F200_15AD)
    }

    @Test("Random bytes are as many as were asked for, and others each time")
    func random() {
        #expect(SecureRandom.bytes(0).isEmpty)
        let seen = Set((0..<100).map { _ in SecureRandom.bytes(32) })
        #expect(seen.count == 100)
        #expect(seen.allSatisfy { $0.count == 32 })
        // Every value comes in 100 KB.
        #expect(Set(SecureRandom.bytes(100_000)).count == 256)
    }

    @Test("A ticket key seals for one period and opens for one more")
    func rotation() throws {
        let keys = TicketKeys()
        let first = try #require(keys.sealing)
        #expect(keys.opening(named: first.name)?.isOld == false)
        keys.rotate()
        let second = try #require(keys.sealing)
        #expect(second.name != first.name && second.encryption != first.encryption)
        #expect(second.authentication != first.authentication)
        #expect(keys.opening(named: first.name)?.isOld == true)
        #expect(keys.opening(named: first.name)?.key.encryption == first.encryption)
        #expect(keys.opening(named: second.name)?.isOld == false)
        keys.rotate()
        #expect(keys.opening(named: first.name) == nil)
        #expect(keys.opening(named: second.name)?.isOld == true)
        #expect(keys.opening(named: []) == nil)
        #expect(TicketKeys().opening(named: first.name) == nil)
    }

    @Test("Ticket keys are as long as their algorithms want")
    func keyLengths() throws {
        let key = try #require(TicketKeys().sealing)
        #expect((key.name.count, key.encryption.count, key.authentication.count) == (16, 32, 32))
    }
}
