internal import Foundation

/// Threads that do the blocking work of jobs, so that neither an event loop nor Swift's own pool waits for a disk.
final class BlockingThreadPool: Sendable {
    private let queue = BlockingQueue<@Sendable () -> Void>()

    init(count: Int, name: String) {
        for _ in 0..<count {
            let thread = Thread { [queue] in
                while let work = queue.receive(atMost: QueueLimits(elements: 1)).first { work() }
            }
            thread.name = name
            thread.start()
        }
    }

    deinit { queue.close() }

    /// Runs `work` on one of the threads and returns its result.
    func run<Value: Sendable, Failure: Error>(
        _ work: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let outcome: Result<Value, Failure> = await withCheckedContinuation { continuation in
            let isQueued = queue.send {
                continuation.resume(returning: Result { () throws(Failure) in try work() })
            }
            precondition(isQueued, "the threads live as long as the one who gives them work")
        }
        return try outcome.get()
    }
}
