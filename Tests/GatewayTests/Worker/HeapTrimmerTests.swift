import Testing

@testable import Gateway
@testable import Transport

@Suite("Heap trim")
struct HeapTrimmerTests {
    /// When it trims, if so many handshakes come between one look and the next, which follow each other after `step`.
    private func trims(_ handshakes: [UInt64], connections: UInt64 = 10, step: Duration = .milliseconds(100)) -> [Bool]
    {
        var trim = HeapTrimmer()
        var (total, now) = (UInt64(0), Instant(nanoseconds: 1))
        return handshakes.map { count in
            total += count
            now = now + step
            return trim.isDue(handshakes: total, connections: connections, now: now)
        }
    }

    @Test("HeapTrimmer: a burst is followed by one trim")
    func burst() {
        #expect(trims([400, 500, 0, 0, 0]) == [false, false, true, false, false])
        #expect(trims([400, 500, 50, 0]) == [false, false, true, false], "the last of it may still come")
    }

    @Test("HeapTrimmer: a burst that does not end is not interrupted")
    func long() {
        #expect(trims([600, 600, 600, 600, 600]).allSatisfy { !$0 })
    }

    @Test("HeapTrimmer: after a trim there is none for half a minute")
    func distance() {
        #expect(trims([500, 0, 500, 0, 0]) == [false, true, false, false, false])
        #expect(trims([500, 0, 500, 0, 0], step: .seconds(10)) == [false, true, false, false, true])
    }

    @Test("HeapTrimmer: with many connections the pause would be felt")
    func many() {
        #expect(trims([500, 0], connections: 4096) == [false, true])
        #expect(trims([500, 0], connections: 4097) == [false, false])
    }

    @Test("HeapTrimmer: a few handshakes are not worth it, but they add up")
    func few() {
        #expect(trims([127, 0, 0]) == [false, false, false])
        #expect(trims([127, 0, 1, 0]) == [false, false, true, false])
    }
}
