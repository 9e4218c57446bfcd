import Bytes
import HTTP
import Testing

@Suite("Trailers of a chunked body")
struct TrailerTests {
    @Test("Trailers are kept unchanged if they are wanted", arguments: sections)
    func keep(section: String) {
        let bytes = Array(("1;x=y\r\na\r\n0\r\n" + section + "\r\nGET").utf8)
        let kept = DecodedBody(bytes, keepsTrailers: true)
        #expect(kept.isComplete && kept.consumed == bytes.count - 3)
        #expect(String(decoding: kept.trailers, as: UTF8.self) == section)
        for cut in bytes.indices { #expect(DecodedBody(bytes, cuts: [cut], keepsTrailers: true) == kept) }
        #expect(DecodedBody(bytes, cuts: Array(bytes.indices), keepsTrailers: true) == kept)
        // Nobody wants them: the same body without them.
        let dropped = DecodedBody(bytes)
        #expect(dropped.body == kept.body && dropped.consumed == kept.consumed && dropped.trailers.isEmpty)
    }

    static let sections = [
        "", "A: b\r\n", "a:\r\n", "Digest:\t x \r\nDigest: y\r\n", "x: \u{e9}\r\nContent-Length: 5\r\n",
    ]

    @Test(
        "Trailers: a malformed trailer section is refused whether it is wanted or not",
        arguments: ChunkedDecoderTests.badBodies
    )
    func refuse(text: String, error: FramingError) {
        let decoded = DecodedBody(Array(text.utf8), keepsTrailers: true)
        #expect(decoded.error == error && decoded.trailers.isEmpty)
    }

    @Test("Trailers: no more than 4 KiB of trailers are kept, line ends included")
    func bound() {
        let text = { (count: Int) in Array(("0\r\n" + String(repeating: "a:\r\n", count: count) + "\r\n").utf8) }
        let most = DecodedBody(text(1024), keepsTrailers: true)
        #expect(most.isComplete && most.trailers.count == 4096)
        for keepsTrailers in [false, true] {
            #expect(DecodedBody(text(1025), keepsTrailers: keepsTrailers).error == .trailersTooLong)
        }
    }

    private func goingOn(_ section: String, droppingOther: (String) -> Bool = { _ in false }) -> String {
        let bytes = Array(section.utf8)
        var output = Array("before|".utf8)
        TrailerSection.append(bytes.span, droppingOther: { droppingOther($0.text($1)) }, to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    @Test(
        "Trailers: a field that would change the message may not be in its trailers",
        arguments: forbiddenNames)
    func dropName(name: String) {
        for spelling in [name, name.uppercased()] {
            let section = "A: b\r\n\(spelling): c\r\nExpires-In: 1\r\n"
            #expect(goingOn(section) == "before|A: b\r\nExpires-In: 1\r\n")
        }
    }

    static let forbiddenNames =
        FieldName.allCases.dropFirst().map(\.spelling) + [
            "Age", "Cache-Control", "Content-Range", "Cookie", "Expires", "If-Match", "If-None-Match", "If-Range",
            "If-Modified-Since", "If-Unmodified-Since", "Max-Forwards", "Pragma", "Range", "Vary", "Warning",
        ]

    @Test("Trailers: other lines are relayed byte for byte, except those that the caller drops")
    func goOn() {
        #expect(goingOn("") == "before|")
        #expect(goingOn("Digest:\t a \r\ndigest:b\r\nETag:\r\n") == "before|Digest:\t a \r\ndigest:b\r\nETag:\r\n")
        #expect(goingOn("A: 1\r\nb: 2\r\nA: 3\r\n") { $0 == "A" } == "before|b: 2\r\n")
    }

    @Test("Trailers: what is no section leaves nothing behind", arguments: ["A: b", "A", "A\r\nb: c\r\n", "\r\n"])
    func noSection(text: String) {
        #expect(goingOn(text) == "before|")
    }
}
