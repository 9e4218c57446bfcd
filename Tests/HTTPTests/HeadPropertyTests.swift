import Glibc
import HTTP
import Testing

@Suite("Properties of the head parser")
struct HeadPropertyTests {
    static let samples: [String] = [
        headText(),
        headText(line: "OPTIONS * HTTP/1.0", host: false),
        "\r\n" + headText(["Transfer-Encoding: chunked", "Expect: 100-continue"], line: "POST /a?b HTTP/1.1"),
        headText(
            [
                "Authorization: Bearer 0123456789abcdef", "X-Organization-Id:\torg ", "Content-Length: 12", "Empty:",
                "a-name-that-is-not-known: \t v\t",
            ],
            line: "PUT https://h:8443/path/of/some/length?and=query HTTP/1.1"),
    ]

    /// Heads that are refused, each at another place.
    static let refused: [String] = [
        "\rGET / HTTP/1.1\r\n", "GET / HTTP/1.10\r\n", "GET  / HTTP/1.1\r\n", "FOO / HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n",
        "GET /#a HTTP/1.1\r\n", "GET http://u@h/ HTTP/1.1\r\n", headText(["A : b"]), headText(["A: b", " c"]),
        headText(["Content-Length: 5", "Content-Length: 6"]),
        headText(["Transfer-Encoding: chunked", "Content-Length: 5"]),
        headText(["A: b\u{0}"]), headText(["A: b\rc"]), headText(["A: b\nc"]), headText(host: false),
        headText(["Host: b"]),
        headText(["x\rapi-key: v"]), headText(["Expect: x"]), headText(["A: " + String(repeating: "b", count: 300)]),
        "GET /" + String(repeating: "a", count: 100), String(repeating: "A", count: 40),
    ]

    private static let limits = HeadLimits(targetBytes: 64, headBytes: 256, fields: 8)

    @Test("A head in two pieces is the same head, wherever it is cut", arguments: samples + refused)
    func everySplit(text: String) {
        let bytes = Array(text.utf8) + Array("GET".utf8)
        let whole = HeadOutcome(bytes, limits: Self.limits)
        #expect(whole != .incomplete)
        for cut in 0...bytes.count {
            #expect(HeadOutcome(bytes, cuts: [cut], limits: Self.limits) == whole, "cut at \(cut)")
        }
    }

    @Test("A head in three pieces is the same head, wherever it is cut", arguments: [samples[2], samples[1]])
    func everyTwoSplits(text: String) {
        let bytes = Array(text.utf8)
        let whole = HeadOutcome(bytes)
        for first in 0..<bytes.count {
            for second in first..<bytes.count {
                guard HeadOutcome(bytes, cuts: [first, second]) != whole else { continue }
                Issue.record("cut at \(first) and \(second)")
            }
        }
    }

    @Test("A head that comes byte by byte is the same head", arguments: samples + refused)
    func byteByByte(text: String) {
        let bytes = Array(text.utf8) + Array("GET".utf8)
        #expect(
            HeadOutcome(bytes, cuts: Array(0..<bytes.count), limits: Self.limits)
                == HeadOutcome(bytes, limits: Self.limits))
    }

    @Test("A head needs its last byte, and none behind it", arguments: samples)
    func lastByte(text: String) throws {
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count {
            #expect(HeadOutcome(Array(bytes[..<count])) == .incomplete)
        }
        let alone = try #require(HeadOutcome(bytes).head)
        #expect(alone.end == bytes.count)
        for byte in UInt8.min...UInt8.max {
            #expect(HeadOutcome(bytes + [byte]).head == alone)
        }
    }

    @Test("Whatever one byte is changed to, the parser answers, and what it accepts is well-formed", arguments: samples)
    func everyByteMutated(text: String) {
        let bytes = Array(text.utf8)
        for index in bytes.indices {
            for byte in UInt8.min...UInt8.max {
                var mutant = bytes
                mutant[index] = byte
                let outcome = HeadOutcome(mutant)
                if case .head(let head) = outcome { expectWellFormed(head, mutant) }
                guard Self.suspicious.contains(byte) else { continue }
                guard HeadOutcome(mutant, cuts: Array(index...min(index + 2, bytes.count))) != outcome else { continue }
                Issue.record("byte \(byte) at \(index) is judged otherwise in pieces")
            }
        }
    }

    @Test(
        "Whatever byte is inserted or left out, the parser answers, and what it accepts is well-formed",
        arguments: samples)
    func everyByteInserted(text: String) {
        let bytes = Array(text.utf8)
        for index in bytes.indices {
            for byte in Self.suspicious {
                var mutant = bytes
                mutant.insert(byte, at: index)
                if case .head(let head) = HeadOutcome(mutant) { expectWellFormed(head, mutant) }
            }
            var mutant = bytes
            mutant.remove(at: index)
            if case .head(let head) = HeadOutcome(mutant) { expectWellFormed(head, mutant) }
        }
    }

    static let suspicious: [UInt8] = [
        0, 9, 10, 11, 13, 32, 35, 44, 45, 47, 58, 59, 63, 0x5F, 0x7F, 0x80, 0xE8, 0xFF,
    ]

    /// What any two readers must agree on: lines end in CR LF and nowhere else, and hold what their field says.
    private func expectWellFormed(_ head: ReadHead, _ bytes: [UInt8]) {
        let accepted = bytes[..<head.end]
        let lines = accepted.split(separator: 10, omittingEmptySubsequences: false).dropLast()
        var isGood = lines.allSatisfy { $0.last == 13 && $0.dropLast().allSatisfy { $0 == 9 || $0 >= 32 && $0 != 127 } }
        let isForgiven = lines.first == [13]
        isGood = isGood && lines.count == head.fields.count + (isForgiven ? 3 : 2) && lines.last == [13]
        for (line, field) in zip(lines.dropFirst(isForgiven ? 2 : 1), head.fields) {
            let text = String(decoding: line.dropLast(), as: UTF8.self)
            let name = text.prefix { $0 != ":" }
            let value = text.dropFirst(name.count + 1).drop { " \t".contains($0) }
            let trimmed = String(value.reversed().drop { " \t".contains($0) }.reversed())
            isGood = isGood && field == "\(name): \(trimmed)" && !name.contains(" ")
        }
        if !isGood { Issue.record("accepted: \(String(decoding: accepted, as: UTF8.self).debugDescription)") }
    }

    @Test("The parser reads nothing behind the bytes it is given", arguments: samples + refused)
    func pageGuard(text: String) {
        let bytes = Array(text.utf8)
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        // SAFETY: two fresh pages, of which only the first may be touched; the bytes stand at its end.
        let base = unsafe mmap(nil, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let pages = unsafe base else {
            Issue.record("no memory")
            return
        }
        defer { unsafe munmap(pages, 2 * page) }
        let isGuarded = unsafe mprotect(pages + page, page, PROT_NONE) == 0
        #expect(isGuarded)
        for count in 0...bytes.count {
            let start = unsafe pages + (page - count)
            unsafe start.copyMemory(from: bytes, byteCount: count)
            let buffer = unsafe UnsafeRawBufferPointer(start: start, count: count).bindMemory(to: UInt8.self)
            var parser = HeadParser(limits: Self.limits)
            var head = RequestHead()
            _ = try? unsafe parser.parse(buffer.span, into: &head)
        }
    }
}
