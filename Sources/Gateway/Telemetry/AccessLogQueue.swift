internal import Synchronization

/// The queue of log lines between the workers and the thread that writes them. Its size is bounded: if the writer is
/// too slow, lines are dropped and counted, and no worker waits.
package final class AccessLogQueue: Sendable {
    private struct State {
        var chunks: [[UInt8]] = []
        var bytes = 0
        var droppedLines = 0
        var isClosed = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    private let maximumBytes: Int

    package init(maximumBytes: Int = 8 << 20) { self.maximumBytes = maximumBytes }

    /// The number of lost lines: the queue was full, or the lines could not be written.
    package var droppedLines: Int { state.withLock { $0.droppedLines } }

    /// Adds a worker's lines, or drops all of them.
    package func submit(_ chunk: [UInt8], lines: Int) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.bytes + chunk.count <= maximumBytes, !state.isClosed else {
                state.droppedLines += lines
                return nil
            }
            state.chunks.append(chunk)
            state.bytes += chunk.count
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Counts lines that the writer could not write.
    package func lost(lines: Int) { state.withLock { $0.droppedLines += lines } }

    /// Ends the queue. The writer returns after the remaining lines.
    package func close() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.isClosed = true
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Writes lines until the queue is closed and empty. Run it once, in a task on an executor of its own, because
    /// `write` blocks.
    package func writeAll(_ write: ([UInt8]) -> Void) async {
        while true {
            let (chunks, isClosed) = state.withLock { state in
                defer {
                    state.chunks = []
                    state.bytes = 0
                }
                return (state.chunks, state.isClosed)
            }
            for chunk in chunks { write(chunk) }
            if chunks.isEmpty {
                if isClosed { return }
                await wait()
            }
        }
    }

    private func wait() async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if !state.chunks.isEmpty || state.isClosed { return true }
                state.waiter = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
    }
}
