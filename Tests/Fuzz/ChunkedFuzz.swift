import HTTP

/// Called by libFuzzer with each input: a chunked body must be the same body whole, in two pieces and byte by byte.
@c(LLVMFuzzerTestOneInput)
func fuzzChunked(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let whole = DecodedBody(bytes, cuts: [])
    precondition(DecodedBody(bytes, cuts: [count / 2]) == whole, "in two pieces it is another body")
    precondition(DecodedBody(bytes, cuts: Array(0..<count)) == whole, "byte by byte it is another body")
    precondition(whole.body.count <= count && whole.consumed <= count)
    var goingOn: [UInt8] = []
    TrailerSection.append(whole.trailers.span, to: &goingOn)
    let lines = whole.trailers.split(separator: 10)
    precondition(whole.trailers.count <= 4096 && lines.allSatisfy { $0.last == 13 })
    precondition(goingOn.split(separator: 10).allSatisfy(lines.contains), "a line that did not come goes on")
    return 0
}

private struct DecodedBody: Equatable {
    var body: [UInt8] = []
    var consumed = 0
    var isComplete = false
    var error: FramingError?
    var trailers: [UInt8] = []

    init(_ bytes: [UInt8], cuts: [Int]) {
        var decoder = ChunkedDecoder(keepsTrailers: true)
        var start = 0
        do throws(FramingError) {
            for cut in cuts + [bytes.count] {
                let piece = Array(bytes[start..<cut])
                start = cut
                var index = 0
                reading: while true {
                    switch try decoder.next(piece.span, from: &index) {
                    case .data(let range):
                        precondition(!range.isEmpty)
                        body += piece[range]
                    case .needsMore:
                        precondition(index == piece.count)
                        break reading
                    case .end:
                        isComplete = true
                        trailers = decoder.trailers
                        consumed += index
                        return
                    }
                }
                consumed += index
            }
        } catch {
            self.error = error
            consumed = 0
        }
    }
}
