import HTTP
import Testing

@Suite("Decoding a chunked body")
struct ChunkedDecoderTests {
    private func decode(_ bytes: [UInt8], cuts: [Int] = []) -> DecodedBody { DecodedBody(bytes, cuts: cuts) }

    private func decode(_ text: String) -> DecodedBody { decode(Array(text.utf8)) }

    @Test("ChunkedDecoder: a chunked body is its chunks", arguments: bodies)
    func decodeBody(text: String, body: String) {
        let outcome = decode(text + "NEXT")
        #expect(outcome.error == nil)
        #expect(outcome.isComplete)
        #expect(String(decoding: outcome.body, as: UTF8.self) == body)
        #expect(outcome.consumed == text.utf8.count)
    }

    static let bodies: [(String, String)] = [
        ("0\r\n\r\n", ""), ("5\r\nhello\r\n0\r\n\r\n", "hello"), ("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"), ("a\r\n0123456789\r\n000\r\n\r\n", "0123456789"),
        ("0000005\r\nhello\r\n0\r\n\r\n", "hello"), ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
        ("5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello"), ("5;a=\"b;\\\"c\"; d\r\nhello\r\n0\r\n\r\n", "hello"),
        ("1;\r\nx\r\n0\r\n\r\n", "x"),
        ("1\r\nx\r\n0\r\nA: b\r\nContent-Length: 5\r\nc:\r\n\r\n", "x"), ("0\r\nA:\tb \u{e9} \r\n\r\n", ""),
    ]

    @Test("ChunkedDecoder: a chunked body that another reader might read otherwise is refused", arguments: badBodies)
    func refuseBody(text: String, error: FramingError) {
        #expect(decode(text).error == error)
    }

    static let badBodies: [(String, FramingError)] = [
        ("\r\n", .invalidChunkSize), ("5\n", .invalidChunkSize), ("5\r5", .invalidChunkSize),
        ("\n5\r\n", .invalidChunkSize),
        (" 5\r\n", .invalidChunkSize), ("5 \r\n", .invalidChunkSize), ("5 ;a\r\n", .invalidChunkSize),
        ("+5\r\n", .invalidChunkSize),
        ("-5\r\n", .invalidChunkSize), ("0x5\r\n", .invalidChunkSize), ("5_0\r\n", .invalidChunkSize),
        ("5,\r\n", .invalidChunkSize),
        ("g\r\n", .invalidChunkSize), (";a\r\n", .invalidChunkSize), ("5\u{0}\r\n", .invalidChunkSize),
        ("5.0\r\n", .invalidChunkSize),
        ("5\r\r\n", .invalidChunkSize), ("5\rX", .invalidChunkSize), ("5;a\n", .invalidChunkSize),
        ("5;a\rX", .invalidChunkSize),
        ("5;a\u{0}b\r\n", .invalidChunkSize), ("5;a\r\r\n", .invalidChunkSize),
        ("1000000000000000\r\n", .chunkTooLarge), ("0000000000000001\r\n", .chunkTooLarge),
        ("ffffffffffffffff1\r\n", .chunkTooLarge),
        ("1\r\nab", .invalidChunkEnd), ("1\r\na\n", .invalidChunkEnd), ("1\r\na\rb", .invalidChunkEnd),
        ("1\r\na0\r\n", .invalidChunkEnd),
        ("0\r\n\n", .invalidTrailer), ("0\r\n\rX", .invalidTrailer), ("0\r\n A: b\r\n\r\n", .invalidTrailer),
        ("0\r\n: b\r\n\r\n", .invalidTrailer),
        ("0\r\nA : b\r\n\r\n", .invalidTrailer), ("0\r\nAb\r\n\r\n", .invalidTrailer),
        ("0\r\nA: b\n\r\n", .invalidTrailer),
        ("0\r\nA: b\rc\r\n", .invalidTrailer), ("0\r\nA: b\r\n c\r\n", .invalidTrailer),
        ("0\r\nA: \u{0}\r\n", .invalidTrailer),
        ("0\r\nGET / HTTP/1.1\r\n\r\n", .invalidTrailer),
    ]

    @Test(
        "ChunkedDecoder: a body in pieces is the same body, wherever it is cut",
        arguments: bodies.map(\.0) + badBodies.map(\.0))
    func everySplit(text: String) {
        let bytes = Array((text + "NEXT").utf8)
        let whole = decode(bytes)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                guard decode(bytes, cuts: [first, second]) != whole else { continue }
                Issue.record("cut at \(first) and \(second)")
            }
        }
        #expect(decode(bytes, cuts: Array(0..<bytes.count)) == whole)
    }

    @Test("ChunkedDecoder: any changed byte gives a result", arguments: bodies.map(\.0))
    func everyByteMutated(text: String) {
        let bytes = Array(text.utf8)
        for index in bytes.indices {
            for byte in UInt8.min...UInt8.max {
                var mutant = bytes
                mutant[index] = byte
                let outcome = decode(mutant)
                guard outcome.body.count <= bytes.count, decode(mutant, cuts: [index]) == outcome else {
                    Issue.record("byte \(byte) at \(index)")
                    continue
                }
            }
        }
    }

    @Test("ChunkedDecoder: a body without its end waits for more")
    func incomplete() {
        let bytes = Array("5;x\r\nhello\r\n0\r\nA: b\r\n\r\n".utf8)
        for count in 0..<bytes.count {
            let outcome = decode(Array(bytes[..<count]))
            #expect(!outcome.isComplete && outcome.error == nil && outcome.consumed == count)
        }
    }

    @Test("ChunkedDecoder: chunk sizes up to fifteen digits are counted exactly")
    func largeChunks() throws {
        var decoder = ChunkedDecoder()
        var index = 0
        let size = Array("fffffffffffffff\r\n".utf8)
        #expect(try decoder.next(size.span, from: &index) == .needsMore)
        let data = [UInt8](repeating: 0x0D, count: 100_000)
        for _ in 0..<3 {
            index = 0
            #expect(try decoder.next(data.span, from: &index) == .data(0..<100_000))
        }
    }

    @Test("ChunkedDecoder: extensions and trailers may not be endless")
    func overhead() {
        let long = String(repeating: "a", count: 5000)
        #expect(decode("5;" + long).error == .extensionTooLong)
        #expect(decode("0\r\n" + long).error == .trailersTooLong)
        #expect(decode("0\r\nA:" + long).error == .trailersTooLong)
        #expect(decode("0\r\n" + String(repeating: "a:\r\n", count: 5000)).error == .trailersTooLong)
        // Not by many small ones either.
        #expect(decode(String(repeating: "1;a\r\nx\r\n", count: 5000)).error == .extensionTooLong)
        #expect(decode(String(repeating: "1;\r\nx\r\n", count: 5000)).error == nil)
    }

    @Test("ChunkedDecoder: what was refused stays refused, and what is over stays over")
    func sticky() throws {
        var decoder = ChunkedDecoder()
        var index = 0
        let bad = Array("x5\r\nhello\r\n0\r\n\r\n".utf8)
        for _ in 0..<3 {
            #expect(throws: FramingError.invalidChunkSize) { try decoder.next(bad.span, from: &index) }
        }
        decoder = ChunkedDecoder()
        index = 0
        let good = Array("0\r\n\r\n5\r\n".utf8)
        for _ in 0..<3 {
            #expect(try decoder.next(good.span, from: &index) == .end)
            #expect(index == 5)
        }
    }
}
