import Testing

@testable import Gateway

@Suite("Heap trim")
struct HeapTrimTests {
    /// When it trims, if so many handshakes come between one look and the next.
    private func trims(_ handshakes: [UInt64]) -> [Bool] {
        var trim = HeapTrim()
        var total: UInt64 = 0
        return handshakes.map { count in
            total += count
            return trim.isDue(handshakes: total)
        }
    }

    @Test("A burst is followed by one trim")
    func burst() {
        #expect(trims([400, 500, 0, 0, 0]) == [false, false, true, false, false])
        #expect(trims([400, 500, 50, 0]) == [false, false, true, false], "the last of it may still come")
    }

    @Test("A burst that does not end is trimmed in pieces")
    func long() {
        #expect(trims([600, 600, 600, 600]) == [false, true, false, true])
    }

    @Test("A few handshakes are not worth it, but they add up")
    func few() {
        #expect(trims([127, 0, 0]) == [false, false, false])
        #expect(trims([127, 0, 1, 0]) == [false, false, true, false])
    }

    @Test("Nothing happens while nothing happens")
    func idle() {
        #expect(trims([0, 0, 0]) == [false, false, false])
    }
}
