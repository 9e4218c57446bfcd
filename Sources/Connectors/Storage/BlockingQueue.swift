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
///
/// An owner without elements in the queue can add any element that fits. Another owner can add one only if it has fewer elements
/// than are free, and if its bytes with this element are at most the free bytes. So many small elements of one owner take about
/// half of the queue, and other owners find room.
final class BlockingQueue<Element: Sendable>: Sendable {
    fileprivate struct State {
        /// `nil` before `first`: what was received is not held any longer.
        var elements: [Element?] = []
        var first = 0
        /// What `elements` take from `first` on, and each owner's part of it.
        var use = Use()
        var uses: [String: Use] = [:]
        var receiversWaiting = 0
        var isClosed = false
    }

    fileprivate struct Use {
        var elements = 0
        var bytes = 0

        mutating func add(_ elements: Int, _ bytes: Int) {
            self.elements += elements
            self.bytes += bytes
        }
    }

    private let limits: QueueLimits
    private let size: @Sendable (Element) -> Int
    private let owner: @Sendable (Element) -> String?
    private let state = Mutex(State())
    private let condition = NSCondition()

    /// `size` says how many bytes of the limit an element takes, and `owner` whose it is.
    init(
        limits: QueueLimits = QueueLimits(), size: @escaping @Sendable (Element) -> Int = { _ in 0 },
        owner: @escaping @Sendable (Element) -> String? = { _ in nil }
    ) {
        self.limits = limits
        self.size = size
        self.owner = owner
    }

    /// Queues `element`. Returns `false` where the queue has no room for its owner, or is closed. Never waits for a receiver.
    func send(_ element: Element) -> Bool {
        let (bytes, owner) = (size(element), owner(element))
        let (isAccepted, wakes) = state.withLock { state in
            guard !state.isClosed, state.hasRoom(bytes, of: owner, limits) else { return (false, false) }
            state.elements.append(element)
            state.count(1, bytes, of: owner)
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
            let waiting = state.elements[state.first...].compactMap(\.self)
            let withdrawn = waiting.filter(isWithdrawn)
            guard !withdrawn.isEmpty else { return [] }
            state.elements = waiting.filter { !isWithdrawn($0) }
            state.first = 0
            for element in withdrawn { state.count(-1, -size(element), of: owner(element)) }
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
                for element in received { state.count(-1, -size(element), of: owner(element)) }
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
    fileprivate func hasRoom(_ bytes: Int, of owner: String?, _ limits: QueueLimits) -> Bool {
        let free = BlockingQueue.Use(elements: limits.elements - use.elements, bytes: limits.bytes - use.bytes)
        guard free.elements > 0, bytes <= free.bytes else { return false }
        guard let owned = owner.flatMap({ uses[$0] }), owned.elements > 0 else { return true }
        return owned.elements < free.elements && owned.bytes + bytes <= free.bytes
    }

    fileprivate mutating func count(_ elements: Int, _ bytes: Int, of owner: String?) {
        use.add(elements, bytes)
        if let owner { uses[owner, default: BlockingQueue.Use()].add(elements, bytes) }
        // The owners are removed when the queue is empty. To remove each at its last element would take one more lookup.
        if use.elements == 0 { uses.removeAll(keepingCapacity: true) }
    }

    fileprivate mutating func take(_ limits: QueueLimits, _ size: (Element) -> Int) -> [Element] {
        var (taken, bytes) = ([Element](), 0)
        while first < elements.count, taken.count < limits.elements, let element = elements[first] {
            let size = size(element)
            guard taken.isEmpty || size <= limits.bytes - bytes else { break }
            bytes += size
            taken.append(element)
            elements[first] = nil
            first += 1
        }
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
