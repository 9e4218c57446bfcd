import HTTP
import Testing

/// What became of a chunked body: its bytes, how much of the input belonged to it, and how it ended.
struct DecodedBody: Equatable {
    private(set) var body: [UInt8] = []
    private(set) var consumed = 0
    private(set) var isComplete = false
    private(set) var error: FramingError?
    private(set) var trailers: [UInt8] = []

    /// Feeds `bytes` in pieces that end at `cuts`, and at the end.
    init(_ bytes: [UInt8], cuts: [Int] = [], keepsTrailers: Bool = false) {
        var decoder = ChunkedDecoder(keepsTrailers: keepsTrailers)
        var start = 0
        do throws(FramingError) {
            for cut in cuts + [bytes.count] {
                let piece = Array(bytes[start..<cut])
                start = cut
                var index = 0
                reading: while true {
                    #expect(decoder.trailers.isEmpty)
                    switch try decoder.next(piece.span, from: &index) {
                    case .data(let range):
                        #expect(!range.isEmpty)
                        body += piece[range]
                    case .needsMore:
                        #expect(index == piece.count)
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
