internal import Foundation

/// Threads that do the blocking work of jobs, so that neither an event loop nor Swift's own pool waits for a disk.
final class BlockingThreadPool: Sendable {
    private let mailbox = BlockingQueue<@Sendable () -> Void>()

    init(count: Int, name: String) {
        for _ in 0..<count {
            let thread = Thread { [mailbox] in
                while let work = mailbox.receive(atMost: 1).first { work() }
            }
            thread.name = name
            thread.start()
        }
    }

    deinit { mailbox.close() }

    /// Runs `work` on one of the threads and returns its result.
    func run<Value: Sendable, Failure: Error>(
        _ work: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let outcome: Result<Value, Failure> = await withCheckedContinuation { continuation in
            let accepted = mailbox.send {
                continuation.resume(returning: Result { () throws(Failure) in try work() })
            }
            precondition(accepted, "the threads live as long as the one who gives them work")
        }
        return try outcome.get()
    }
}
