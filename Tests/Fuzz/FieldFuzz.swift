import HTTP
import Policy

@testable import Gateway

/// Called by libFuzzer with each input: a value for each field that the gateway parses, of clients and upstreams.
@c(LLVMFuzzerTestOneInput)
func fuzzField(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    checkTrace(bytes)
    checkForwarded(bytes)
    checkWait(String(decoding: bytes, as: UTF8.self))
    precondition(!(APIToken.isWellFormed(bytes.span) && APIToken.isMistyped(bytes.span)))
    return 0
}

/// A joined trace keeps its id when it is written and read again. Tracestate in one line is the same as in many.
private func checkTrace(_ bytes: [UInt8]) {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    var random = FastRandom()
    if let read = TraceParent.parse(bytes.span) {
        let context = TraceContext(joining: read, random: &random)
        var written: [UInt8] = []
        context.appendTraceparent(to: &written)
        precondition(TraceParent.parse(written.span)?.traceID == read.traceID, "another trace goes on")
        precondition(bytes[3..<35].elementsEqual(written[3..<35]), "the id of the trace is written otherwise")
        precondition(read.parentID != 0 && context.isJoined && context.flags <= 3)
    }
    guard let joined = TraceParent.parse(Array(parent.utf8).span) else { preconditionFailure("a trace was not read") }
    let context = TraceContext(joining: joined, random: &random)
    var whole = TraceStateCheck()
    whole.receivedLine(bytes.span)
    var lines = TraceStateCheck()
    for line in bytes.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
        lines.receivedLine(Array(line).span)
    }
    precondition(whole.isForwardable(in: context) == lines.isForwardable(in: context), "lines are judged otherwise")
}

/// The client's address has one spelling, and no text to the left of it changes it.
private func checkForwarded(_ bytes: [UInt8]) {
    for isForwarded in [false, true] {
        let client = { (list: [UInt8]) in
            ClientAddress.client(in: list, isForwarded: isForwarded) { $0.hasPrefix("10.") }
        }
        guard let address = client(bytes) else { continue }
        precondition(IPAddress.bytes(of: address).map { IPAddress.text(of: $0) } == address, "it has another spelling")
        for forged in ["1.1.1.1,", "for=1.1.1.1,", "for=\"1.1.1.1\", ", "\",for=1.1.1.1,", "\"", ",\\"] {
            let found = client(Array(forged.utf8) + bytes)
            precondition(found == address || found == nil || !bytes.contains(.comma), "a client chose its address")
        }
    }
}

/// No upstream can make a client wait for more than a day, or for zero seconds.
private func checkWait(_ value: String) {
    let now: Int64 = 1_764_288_000
    let day = 1...86_400
    for name in ["Retry-After", "RateLimit", "RateLimit-Reset", "X-RateLimit-Reset", "X-RateLimit-Retry-After"] {
        let fields = [(name: name, value: value)]
        if let told = RetryAfter.seconds(in: fields, epochSeconds: now) { precondition(day.contains(told)) }
        if let reset = RetryAfter.limitReset(in: fields, epochSeconds: now) { precondition(day.contains(reset)) }
    }
    if let seconds = HTTPDate.epochSeconds(value, now: Int(now)), value.utf8.first != UInt8(ascii: " ") {
        // A leap second is the first second of the next minute, which has another text.
        let text = HTTPDate.text(epochSeconds: seconds)
        precondition(HTTPDate.epochSeconds(text, now: Int(now)) == seconds, "a date is another one when it is written")
    }
}
