internal import Glibc

/// Standard output and standard error. Their reader may be slow, or may have stopped or ended.
package enum StandardStream: Int32, Sendable {
    case output = 1
    case error = 2

    /// Opens the standard streams that are closed when the process begins. Otherwise a file or socket would get their
    /// numbers, and log lines would go into it. To be called first in `main`.
    package static func reserve() {
        for number in Int32(0)...2 where fcntl(number, F_GETFD) < 0 {
            // Opened for reading: a write returns an error, so lost lines can be counted.
            // SAFETY: the path is a C string that lives as long as the call.
            _ = unsafe open("/dev/null", O_RDONLY)
        }
    }

    /// Writes `bytes` and waits for the reader. Returns the number of bytes that were written before an error.
    package func write(_ bytes: [UInt8]) -> Int {
        var written = 0
        while written < bytes.count {
            guard let count = piece(of: bytes, from: written, atMost: 1 << 30) else { return written }
            if count == 0 { _ = isReady(within: -1) }
            written += count
        }
        return written
    }

    /// Writes `bytes`, and waits at most `timeout` at a time for the reader. Returns `false` if bytes are lost.
    package func write(_ bytes: [UInt8], timeout: Duration) -> Bool {
        var written = 0
        while written < bytes.count {
            guard isReady(within: Int32(timeout / .milliseconds(1))),
                // A pipe that is ready has room for this many bytes, so the call does not block.
                let count = piece(of: bytes, from: written, atMost: Int(PIPE_BUF)), count > 0
            else { return false }
            written += count
        }
        return true
    }

    /// The number of bytes that one call wrote; `nil` after an error, 0 if a nonblocking stream is full.
    private func piece(of bytes: [UInt8], from start: Int, atMost limit: Int) -> Int? {
        while true {
            // SAFETY: the kernel reads at most as many bytes as the array has from `start` on.
            let count = unsafe bytes[start...].withUnsafeBytes {
                unsafe Glibc.write(rawValue, $0.baseAddress, min($0.count, limit))
            }
            if count > 0 { return count }
            if count < 0, errno == EINTR { continue }
            return count < 0 && errno == EAGAIN ? 0 : nil
        }
    }

    private func isReady(within milliseconds: Int32) -> Bool {
        while true {
            var request = pollfd(fd: rawValue, events: Int16(POLLOUT), revents: 0)
            // SAFETY: one structure, on our stack.
            let count = unsafe poll(&request, 1, milliseconds)
            if count < 0, errno == EINTR { continue }
            return count > 0
        }
    }
}
