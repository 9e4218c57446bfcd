import Testing

@testable import Transport

@Suite("The timer wheel")
struct TimerWheelTests {
    private static let tick = TimerWheel.tickNanoseconds

    /// The slots that are due when the clock goes to each of `times`.
    private func due(_ wheel: inout TimerWheel, at times: [UInt64]) -> [[Int]] {
        times.map { time in
            var entries: [TimerWheel.Entry] = []
            wheel.advance(to: Instant(nanoseconds: time), due: &entries)
            return entries.map(\.slot)
        }
    }

    private func insert(_ slot: Int, _ deadline: UInt64, into wheel: inout TimerWheel) {
        let tick = wheel.tick(for: Instant(nanoseconds: deadline))
        wheel.insert(.init(slot: slot, generation: 0, tick: tick))
    }

    @Test(
        "TimerWheel: a deadline passes late by at most a tick, and never early",
        arguments: [0, 1, 7, 49_999_999, 50_000_000, 50_000_001, 123_456_789, 5_000_000_000])
    func precision(deadline: UInt64) throws {
        let start: UInt64 = 1_000_000_000_123
        var wheel = TimerWheel(now: Instant(nanoseconds: start))
        insert(1, start + deadline, into: &wheel)
        var time = start
        var entries: [TimerWheel.Entry] = []
        while entries.isEmpty {
            try #require(time < start + deadline + 2 * Self.tick)
            time += 1_000_000
            wheel.advance(to: Instant(nanoseconds: time), due: &entries)
        }
        #expect(time >= start + deadline)
        #expect(time <= start + deadline + Self.tick + 1_000_000)
        #expect(wheel.count == 0)
    }

    @Test("TimerWheel: a deadline that has passed already comes round in the next tick")
    func pastDeadline() {
        var wheel = TimerWheel(now: Instant(nanoseconds: 100 * Self.tick))
        insert(1, 3, into: &wheel)
        #expect(due(&wheel, at: [100 * Self.tick, 101 * Self.tick]) == [[], [1]])
    }

    @Test("TimerWheel: deadlines come round in their order, however far the clock jumps")
    func order() {
        var wheel = TimerWheel(now: Instant(nanoseconds: 0))
        for slot in [5, 3, 9, 1, 7] { insert(slot, UInt64(slot) * Self.tick, into: &wheel) }
        #expect(wheel.count == 5)
        #expect(due(&wheel, at: [4 * Self.tick, 4 * Self.tick, 1_000_000 * Self.tick]) == [[1, 3], [], [5, 7, 9]])
        #expect(wheel.count == 0)
        #expect(wheel.nextTick() == nil)
    }

    @Test("TimerWheel: a deadline beyond the wheel comes round before it, to be inserted again")
    func beyondTheWheel() {
        var wheel = TimerWheel(now: Instant(nanoseconds: 0))
        insert(1, 1_000_000 * Self.tick, into: &wheel)
        #expect(due(&wheel, at: [2046 * Self.tick, 2047 * Self.tick]) == [[], [1]])
        insert(2, .max, into: &wheel)
        #expect(due(&wheel, at: [4093 * Self.tick, 4094 * Self.tick]) == [[], [2]])
    }

    @Test("TimerWheel: the wheel wants to be looked at when the next tick begins, and only if anything waits")
    func nextTick() {
        var wheel = TimerWheel(now: Instant(nanoseconds: 10 * Self.tick + 5))
        #expect(wheel.nextTick() == nil)
        insert(1, 50 * Self.tick, into: &wheel)
        #expect(wheel.nextTick() == Instant(nanoseconds: 11 * Self.tick))
    }

    @Test("TimerWheel: the clock standing still or going back is no harm")
    func clockGoesBack() {
        var wheel = TimerWheel(now: Instant(nanoseconds: 100 * Self.tick))
        insert(1, 101 * Self.tick, into: &wheel)
        #expect(due(&wheel, at: [0, 99 * Self.tick, 100 * Self.tick, 102 * Self.tick]) == [[], [], [], [1]])
    }
}
