internal import Foundation
internal import Synchronization

/// How much may be in a queue, or be taken from it at once.
struct QueueLimits: Sendable {
    var elements = Int.max
    /// The sum of what the elements take.
    var bytes = Int.max
}

/// A queue between threads: anyone sends, threads of their own block until there is something to receive.
///
/// What nobody has received yet can be withdrawn. An element is either received or withdrawn, never both.
final class BlockingQueue<Element: Sendable>: Sendable {
    fileprivate struct State {
        var elements: [Element] = []
        var first = 0
        /// What `elements` take from `first` on.
        var bytes = 0
        var receiversWaiting = 0
        var isClosed = false
    }

    private let limits: QueueLimits
    private let size: @Sendable (Element) -> Int
    private let state = Mutex(State())
    private let condition = NSCondition()

    /// `size` says how many bytes of the limit an element takes.
    init(limits: QueueLimits = QueueLimits(), size: @escaping @Sendable (Element) -> Int = { _ in 0 }) {
        self.limits = limits
        self.size = size
    }

    /// Queues `element`. Returns `false` where the queue is full or closed. Never waits for a receiver.
    func send(_ element: Element) -> Bool {
        let bytes = size(element)
        let (isAccepted, wakes) = state.withLock { state in
            guard !state.isClosed, state.elements.count - state.first < limits.elements,
                bytes <= limits.bytes - state.bytes
            else { return (false, false) }
            state.elements.append(element)
            state.bytes += bytes
            guard state.receiversWaiting > 0 else { return (true, false) }
            // This sender wakes it; the next one need not.
            state.receiversWaiting -= 1
            return (true, true)
        }
        if wakes {
            condition.lock()
            condition.signal()
            condition.unlock()
        }
        return isAccepted
    }

    /// Takes back what waits and meets the condition.
    func withdraw(where isWithdrawn: (Element) -> Bool) -> [Element] {
        state.withLock { state in
            let waiting = state.elements[state.first...]
            let withdrawn = waiting.filter(isWithdrawn)
            guard !withdrawn.isEmpty else { return [] }
            state.elements = waiting.filter { !isWithdrawn($0) }
            state.first = 0
            state.bytes -= withdrawn.reduce(0) { $0 + size($1) }
            return withdrawn
        }
    }

    /// What is still queued is received, then every receiver gets nothing.
    func close() {
        state.withLock { $0.isClosed = true }
        condition.lock()
        condition.broadcast()
        condition.unlock()
    }

    /// Blocks until there is something, and takes as much as `limits` allow, one element at least. Nothing means that the
    /// queue is closed and empty, or that `deadline` has passed.
    func receive(atMost limits: QueueLimits, until deadline: Date? = nil) -> [Element] {
        condition.lock()
        defer { condition.unlock() }
        while true {
            let (received, isClosed) = state.withLock { state in
                let received = state.take(limits, size)
                if received.isEmpty && !state.isClosed { state.receiversWaiting += 1 }
                return (received, state.isClosed)
            }
            if !received.isEmpty || isClosed { return received }
            // A sender that saw this receiver waiting needs the condition's lock to wake it, so it cannot come too early.
            guard let deadline else {
                condition.wait()
                continue
            }
            guard condition.wait(until: deadline) else { return [] }
        }
    }
}

extension BlockingQueue.State {
    fileprivate mutating func take(_ limits: QueueLimits, _ size: (Element) -> Int) -> [Element] {
        var (end, taken) = (first, 0)
        while end < elements.count, end - first < limits.elements {
            let bytes = size(elements[end])
            guard end == first || bytes <= limits.bytes - taken else { break }
            taken += bytes
            end += 1
        }
        defer {
            bytes -= taken
            first = end
            if first == elements.count {
                elements.removeAll(keepingCapacity: first < 4096)
                first = 0
            } else if first > 4096 {
                elements.removeFirst(first)
                first = 0
            }
        }
        return Array(elements[first..<end])
    }
}
