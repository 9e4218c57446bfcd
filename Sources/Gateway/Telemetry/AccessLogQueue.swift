internal import Synchronization

/// Log lines on their way from the workers to the thread that writes them. Bounded: when the reader of the log does not keep
/// up, lines are dropped and counted, and no worker waits.
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

    /// Lines that nobody can read: the queue was full, or they could not be written.
    package var droppedLines: Int { state.withLock { $0.droppedLines } }

    /// Takes over a worker's lines, or drops them all.
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

    /// No more lines come; the writer ends after what is there.
    package func close() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.isClosed = true
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Writes what comes until the queue is closed and empty. Run it once, in a task on an executor of its own: `write` blocks.
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
