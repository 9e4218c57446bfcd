internal import Foundation
internal import Synchronization

/// A queue between threads: anyone sends, threads of their own block until there is something to receive.
final class BlockingQueue<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var first = 0
        var receiversWaiting = 0
        var isClosed = false

        mutating func take(_ limit: Int) -> [Element] {
            let end = min(elements.count, first + limit)
            let taken = Array(elements[first..<end])
            first = end
            if first == elements.count {
                elements.removeAll(keepingCapacity: first < 4096)
                first = 0
            } else if first > 4096 {
                elements.removeFirst(first)
                first = 0
            }
            return taken
        }
    }

    private let state = Mutex(State())
    private let condition = NSCondition()

    /// Queues `element`; `false` once the mailbox is closed. Never waits for a receiver.
    func send(_ element: Element) -> Bool {
        let (accepted, wakes) = state.withLock { state in
            guard !state.isClosed else { return (false, false) }
            state.elements.append(element)
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
        return accepted
    }

    /// What is still queued is received, then every receiver gets nothing.
    func close() {
        state.withLock { $0.isClosed = true }
        condition.lock()
        condition.broadcast()
        condition.unlock()
    }

    /// Blocks until there is something; nothing means the mailbox is closed and empty, or `deadline` has passed.
    func receive(atMost limit: Int, until deadline: Date? = nil) -> [Element] {
        condition.lock()
        defer { condition.unlock() }
        while true {
            let (received, isClosed) = state.withLock { state in
                let received = state.take(limit)
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
