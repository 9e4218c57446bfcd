internal import CLinux
internal import Glibc

/// The events that the poller has seen on one descriptor.
struct ReadinessEvents: OptionSet {
    let rawValue: UInt8
    static let readable = ReadinessEvents(rawValue: 1)
    static let writable = ReadinessEvents(rawValue: 2)
    /// The peer closed its side, or the connection broke. There may be bytes before that.
    static let closing = ReadinessEvents(rawValue: 4)
}

/// An eventfd that the poller of a loop watches. Any thread can end the loop's wait with it.
final class Wakeup: Sendable {
    let descriptor: Int32

    init() throws(SystemError) {
        descriptor = try syscall("eventfd") { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) }
    }

    deinit { close(descriptor) }

    func wake() {
        var one: UInt64 = 1
        // SAFETY: eight bytes are read from our stack. A full counter means that a wake-up is already due.
        _ = unsafe write(descriptor, &one, 8)
    }

    /// Forgets the wakes so far.
    func reset() {
        var counter: UInt64 = 0
        // SAFETY: eight bytes are written to our stack.
        _ = unsafe read(descriptor, &counter, 8)
    }
}

/// One epoll instance. It is edge-triggered, and a descriptor is registered once in its life, for both directions.
@safe struct Poller: ~Copyable {
    private let epoll: Int32
    private let wakeup: Wakeup
    private var events: [epoll_event]

    /// The upper half of epoll's 64 bits of user data tells uses of the same descriptor apart. So an event for a socket that
    /// was closed in this round is not taken for its successor's.
    private static let wakeupKey = UInt64.max

    init(wakeup: Wakeup) throws(SystemError) {
        let epoll = try syscall("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) }
        try Poller.add(wakeup.descriptor, to: epoll, key: Poller.wakeupKey, edges: false)
        self.epoll = epoll
        self.wakeup = wakeup
        unsafe events = Array(repeating: epoll_event(), count: 256)
    }

    deinit { close(epoll) }

    func register(_ descriptor: Int32, generation: UInt32) throws(SystemError) {
        try Poller.add(
            descriptor, to: epoll, key: UInt64(generation) << 32 | UInt64(UInt32(bitPattern: descriptor)), edges: true)
    }

    private static func add(
        _ descriptor: Int32, to epoll: Int32, key: UInt64, edges: Bool
    ) throws(SystemError) {
        var event = unsafe epoll_event()
        let interest =
            edges
            ? EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue : EPOLLIN.rawValue
        unsafe event.events = interest
        // SAFETY: `u64` is one view of the user data, and the only one ever used here.
        unsafe event.data.u64 = key
        // SAFETY: the kernel copies the structure.
        _ = try syscall("epoll_ctl") { unsafe epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) }
    }

    func remove(_ descriptor: Int32) {
        var event = unsafe epoll_event()
        // SAFETY: the event is ignored for EPOLL_CTL_DEL.
        _ = unsafe epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event)
    }

    /// Waits for events at most `milliseconds`, or for ever with -1, and reports each.
    mutating func wait(
        milliseconds: Int32, report: (_ descriptor: Int32, _ generation: UInt32, ReadinessEvents) -> Void
    ) {
        // SAFETY: the kernel fills at most `count` entries of our array.
        let count = unsafe events.withUnsafeMutableBufferPointer {
            unsafe epoll_wait(epoll, $0.baseAddress, Int32($0.count), milliseconds)
        }
        guard count > 0 else { return }
        for index in 0..<Int(count) {
            let event = unsafe events[index]
            let key = unsafe event.data.u64
            if key == Poller.wakeupKey {
                wakeup.reset()
                continue
            }
            var seen: ReadinessEvents = []
            let flags = unsafe event.events
            let broken = EPOLLERR.rawValue | EPOLLHUP.rawValue
            if flags & (EPOLLIN.rawValue | broken) != 0 { seen.insert(.readable) }
            if flags & (EPOLLOUT.rawValue | broken) != 0 { seen.insert(.writable) }
            if flags & (EPOLLRDHUP.rawValue | broken) != 0 { seen.insert([.closing, .readable]) }
            report(Int32(truncatingIfNeeded: key), UInt32(key >> 32), seen)
        }
    }
}
