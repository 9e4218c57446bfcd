/// The deadlines of many sockets. Almost none of them ever pass, so setting one is a store, and a wheel entry is touched only
/// when its slot comes round.
struct TimerWheel {
    struct Entry {
        let slot: Int
        let generation: UInt32
        let tick: UInt64
    }

    /// Deadlines are kept to this precision: they pass late by at most this much, and never early.
    static let tickNanoseconds: UInt64 = 50_000_000
    private static let slots = 2048

    private var wheel: [[Entry]] = Array(repeating: [], count: TimerWheel.slots)
    private var tick: UInt64
    private(set) var count = 0

    init(now: Instant) { tick = now.nanoseconds / TimerWheel.tickNanoseconds }

    /// The tick at which an entry for `deadline` comes round. An entry for a deadline beyond the wheel comes round early, and is
    /// then inserted again.
    func tick(for deadline: Instant) -> UInt64 {
        let wanted = deadline.nanoseconds / TimerWheel.tickNanoseconds + 1
        return min(max(wanted, tick + 1), tick + UInt64(TimerWheel.slots) - 1)
    }

    mutating func insert(_ entry: Entry) {
        wheel[Int(entry.tick % UInt64(TimerWheel.slots))].append(entry)
        count += 1
    }

    /// Takes out every entry whose tick has come.
    mutating func advance(to now: Instant, due: inout [Entry]) {
        let target = now.nanoseconds / TimerWheel.tickNanoseconds
        while tick < target {
            tick += 1
            let slot = Int(tick % UInt64(TimerWheel.slots))
            guard !wheel[slot].isEmpty else { continue }
            due.append(contentsOf: wheel[slot])
            count -= wheel[slot].count
            wheel[slot].removeAll(keepingCapacity: true)
        }
    }

    /// The time when the next tick begins. This is `nil` if there are no entries.
    func nextTick() -> Instant? {
        count == 0 ? nil : Instant(nanoseconds: (tick + 1) * TimerWheel.tickNanoseconds)
    }
}
