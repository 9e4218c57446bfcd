import HTTP
import Testing

/// What became of a chunked body: its bytes, how much of the input belonged to it, and how it ended.
struct DecodedBody: Equatable {
    private(set) var body: [UInt8] = []
    private(set) var consumed = 0
    private(set) var isComplete = false
    private(set) var error: FramingError?

    /// Feeds `bytes` in pieces that end at `cuts`, and at the end.
    init(_ bytes: [UInt8], cuts: [Int] = []) {
        var decoder = ChunkedDecoder()
        var start = 0
        do throws(FramingError) {
            for cut in cuts + [bytes.count] {
                let piece = Array(bytes[start..<cut])
                start = cut
                var index = 0
                reading: while true {
                    switch try decoder.next(piece.span, from: &index) {
                    case .data(let range):
                        #expect(!range.isEmpty)
                        body += piece[range]
                    case .needsMore:
                        #expect(index == piece.count)
                        break reading
                    case .end:
                        isComplete = true
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
