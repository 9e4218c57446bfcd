import HTTP

/// Called by libFuzzer with each input: a head must have the same result whole, in two pieces and byte by byte. An
/// accepted head must contain no byte that another parser could take for the end of a line.
@c(LLVMFuzzerTestOneInput)
func fuzzHead(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let whole = HeadOutcome(bytes, cuts: [])
    let half = HeadOutcome(bytes, cuts: [count / 2])
    precondition(half == whole, "in two pieces the head is judged otherwise")
    precondition(HeadOutcome(bytes, cuts: Array(0..<count)) == whole, "byte by byte the head is judged otherwise")
    if case .head(let head) = whole { check(head, bytes) }
    return 0
}

private enum HeadOutcome: Equatable {
    case head(HeadFacts)
    case refused(HeadError)
    case incomplete

    init(_ bytes: [UInt8], cuts: [Int]) {
        var parser = RequestHeadParser(limits: HeadLimits(targetBytes: 200, headBytes: 1000, fields: 16))
        var head = RequestHead()
        self = .incomplete
        for cut in cuts + [bytes.count] {
            let come = Array(bytes[..<cut])
            do throws(HeadError) {
                guard try parser.parse(come.span, into: &head) else { continue }
                self = .head(HeadFacts(head))
            } catch {
                self = .refused(error)
            }
            return
        }
    }
}

private struct HeadFacts: Equatable {
    let method: HTTPMethod
    let ranges: [Range<Int>?]
    let names: [FieldName]
    let framing: BodyFraming
    let flags: [Bool]
    let end: Int
    let fields: Int

    /// The name and the value of each field.
    var lines: [(name: Range<Int>, value: Range<Int>)] {
        let last = ranges.suffix(2 * fields).compactMap(\.self)
        return (0..<fields).map { (last[2 * $0], last[2 * $0 + 1]) }
    }

    init(_ head: RequestHead) {
        method = head.method
        ranges =
            [
                head.target, head.path, head.query, head.authorization, head.apiKey, head.traceparent,
                head.organizationID, head.host, head.contentType,
            ] + head.fields.flatMap { [$0.nameRange, $0.value] }
        names = head.fields.map(\.name)
        framing = head.framing
        flags = [head.keepsAlive, head.nominatesFields, head.expectsContinue, head.isHTTP10]
        end = head.end
        fields = head.fields.count
    }
}

private func check(_ head: HeadFacts, _ bytes: [UInt8]) {
    precondition(head.end <= 1000)
    for case .some(let range) in head.ranges { precondition(range.upperBound <= head.end) }
    checkLines(bytes, end: head.end, lines: head.lines)
}
