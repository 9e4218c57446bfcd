import HTTP

/// Called by libFuzzer with each input: a response head must have the same result whole, in pieces and byte by byte. An
/// accepted head has no byte that another parser could take for the end of a line; only its lines are forwarded.
@c(LLVMFuzzerTestOneInput)
func fuzzResponse(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    for method in [HTTPMethod.get, .head] {
        let whole = ResponseVerdict(bytes, method, cuts: [])
        precondition(ResponseVerdict(bytes, method, cuts: [count / 2]) == whole, "in two pieces it is judged otherwise")
        precondition(
            ResponseVerdict(bytes, method, cuts: Array(0..<count)) == whole, "byte by byte it is judged otherwise")
    }
    return 0
}

private enum ResponseVerdict: Equatable {
    case head(ResponseFacts)
    case refused(ResponseHeadError)
    case incomplete

    init(_ bytes: [UInt8], _ method: HTTPMethod, cuts: [Int]) {
        var parser = ResponseHeadParser(limits: HeadLimits(headBytes: 1000, fields: 16))
        var head = ResponseHead()
        self = .incomplete
        for cut in cuts + [bytes.count] {
            let come = Array(bytes[..<cut])
            do throws(ResponseHeadError) {
                guard try parser.parse(come.span, answering: method, into: &head) else { continue }
                self = .head(ResponseFacts(head))
                if cuts.isEmpty { check(head, bytes, method) }
            } catch {
                self = .refused(error)
            }
            return
        }
    }
}

private struct ResponseFacts: Equatable {
    let numbers: [Int]
    let ranges: [Range<Int>?]
    let names: [FieldName]
    let framing: BodyFraming
    let announcedLength: UInt64?
    let flags: [Bool]

    init(_ head: ResponseHead) {
        numbers = [head.status, Int(head.minorVersion), head.end]
        ranges =
            [head.reason, head.contentType, head.contentEncoding, head.retryAfter, head.location]
            + head.fields.flatMap { [$0.nameRange, $0.value] }
        names = head.fields.map(\.name)
        framing = head.framing
        announcedLength = head.announcedLength
        flags = [head.keepsAlive, head.nominatesFields]
    }
}

private func check(_ head: ResponseHead, _ bytes: [UInt8], _ method: HTTPMethod) {
    precondition(head.end <= 1000 && (100...599).contains(head.status) && head.status != 101)
    checkLines(bytes, end: head.end, lines: head.fields.map { ($0.nameRange, $0.value) })
    if method == .head || HTTPStatus.hasNoBody(head.status) { precondition(head.framing == .none) }
    if head.framing == .untilClose { precondition(!head.keepsAlive) }
    if case .length(let length) = head.framing { precondition(head.announcedLength == length && length > 0) }

    var goingOn: [UInt8] = []
    head.appendStatusAndEndToEndFields(of: bytes.span, dropping: [], to: &goingOn)
    precondition(goingOn.starts(with: "HTTP/1.1 \(head.status) ".utf8), "another status line goes on")
    let lines = bytes[..<head.end].split(separator: 10).dropFirst().dropLast()
    for line in goingOn.split(separator: 10).dropFirst() {
        precondition(line.last == 13 && lines.contains(line), "a line that did not come goes on")
        let name = String(decoding: line.prefix { $0 != UInt8(ascii: ":") }, as: UTF8.self).lowercased()
        precondition(!["connection", "transfer-encoding", "te", "upgrade"].contains(name))
    }
}
