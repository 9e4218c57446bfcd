import Testing

@testable import Gateway

@Suite("Trace context")
struct TraceContextTests {
    private static let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    private func parse(_ text: String) -> TraceParent? {
        parse(Array(text.utf8))
    }

    private func parse(_ bytes: [UInt8]) -> TraceParent? {
        TraceParent.parse(bytes.span)
    }

    @Test("TraceContext: a valid traceparent is read as integers")
    func valid() throws {
        let parent = try #require(parse(Self.valid))
        #expect(parent.traceID == TraceID(high: 0x4bf9_2f35_77b3_4da6, low: 0xa3ce_929d_0e0e_4736))
        #expect(parent.parentID == 0x00f0_67aa_0ba9_02b7)
        #expect(parent.flags == 1)
    }

    @Test(
        "TraceContext: a malformed traceparent starts a new trace",
        arguments: [
            "", "00", "garbage",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ])
    func malformed(_ text: String) {
        #expect(parse(text) == nil)
        var random = FastRandom()
        let bytes = Array(text.utf8)
        let context = TraceContext(traceparent: bytes.span, random: &random)
        #expect(!context.isJoined)
        #expect(context.spanID != 0)
    }

    @Test("TraceContext: every single-byte change of a traceparent is refused or read, and never traps")
    func mutations() {
        let bytes = Array(Self.valid.utf8)
        for index in bytes.indices {
            for byte in UInt8.min...UInt8.max {
                var changed = bytes
                changed[index] = byte
                _ = TraceParent.parse(changed.span)
            }
        }
        for length in 0..<bytes.count {
            let short = Array(bytes[..<length])
            #expect(parse(short) == nil)
        }
    }

    @Test("TraceContext: a later version with the shape of version 00 is joined")
    func laterVersion() {
        #expect(parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") != nil)
        #expect(parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-says") != nil)
    }

    @Test("TraceContext: a joined trace keeps its id and known flags, and gets a span id of its own")
    func joined() throws {
        var random = FastRandom()
        let bytes = Array("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff".utf8)
        let context = TraceContext(traceparent: bytes.span, random: &random)
        #expect(context.isJoined)
        var out: [UInt8] = []
        context.appendTraceparent(to: &out)
        let text = String(decoding: out, as: UTF8.self)
        #expect(text.hasPrefix("00-4bf92f3577b34da6a3ce929d0e0e4736-"))
        #expect(text.hasSuffix("-03"))
        let sent = try #require(parse(out))
        #expect(sent.parentID == context.spanID)
        #expect(sent.parentID != 0x00f0_67aa_0ba9_02b7)
    }

    @Test("TraceContext: started traces are well-formed and differ")
    func started() {
        var random = FastRandom()
        var seen: Set<TraceID> = []
        for _ in 0..<10_000 {
            let context = TraceContext(random: &random)
            #expect(context.callerID == 0)
            var out: [UInt8] = []
            context.appendTraceparent(to: &out)
            #expect(parse(out)?.traceID == context.traceID)
            seen.insert(context.traceID)
        }
        #expect(seen.count == 10_000)
    }

    @Test(
        "TraceContext: tracestate goes upstream whole or not at all",
        arguments: [
            (["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"], true),
            (["rojo=1", "congo=2"], true),
            (["a=1 ,\tb=2,,"], true),
            (["tenant@system=x y z"], true),
            ([], false),
            ([""], false),
            (["novalue"], false),
            (["a="], false),
            (["=1"], false),
            (["A=1"], false),
            (["a=b=c"], false),
            (["a=\u{7f}"], false),
            ([(1...32).map { "k\($0)=v" }.joined(separator: ",")], true),
            ([(1...33).map { "k\($0)=v" }.joined(separator: ",")], false),
            (["a=" + String(repeating: "v", count: 256)], true),
            (["a=" + String(repeating: "v", count: 257)], false),
        ] as [([String], Bool)])
    func tracestate(_ lines: [String], forwarded: Bool) {
        var random = FastRandom()
        let bytes = Array(Self.valid.utf8)
        var check = TraceStateCheck()
        for line in lines {
            let value = Array(line.utf8)
            check.receivedLine(value.span)
        }
        #expect(check.isForwardable(in: TraceContext(traceparent: bytes.span, random: &random)) == forwarded)
        #expect(!check.isForwardable(in: TraceContext(random: &random)))
    }
}

@Suite("Byte text")
struct ByteTextTests {
    @Test("Bytes as text: nothing a client sends leaves the inside of a JSON string")
    func untrusted() {
        let bytes: [UInt8] = [0x22, 0x5C, 0x0A, 0x0D, 0x1B, 0x7F, 0x80, 0xFF, 0x61]
        var out: [UInt8] = []
        out.append(untrustedJSONText: bytes.span)
        #expect(String(decoding: out, as: UTF8.self) == #"\"\\\u000a\u000d\u001b\u007f\u0080\u00ffa"#)
    }
}
