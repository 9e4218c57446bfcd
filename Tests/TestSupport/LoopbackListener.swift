internal import Glibc

/// A listening socket whose connections the test accepts; `deinit` closes it.
package final class LoopbackListener: Sendable {
    package let port: UInt16
    private let descriptor: Int32

    /// Port 0 lets the system choose.
    package init(port: UInt16 = 0, backlog: Int32 = 128) throws {
        (descriptor, self.port) = try listenOnLoopback(port: port, backlog: backlog)
    }

    deinit { close(descriptor) }

    /// Connections are refused from now on.
    package func refuse() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Whether no connection waits to be accepted.
    package var isIdle: Bool { !isReadable(within: 0) }

    /// The next connection; `nil` if none comes in time, or the socket refuses connections.
    package func accept(within milliseconds: Int32 = 20_000) -> PlainSocket? {
        guard isReadable(within: milliseconds) else { return nil }
        let descriptor = Glibc.accept(descriptor, nil, nil)
        return descriptor < 0 ? nil : PlainSocket(descriptor)
    }

    private func isReadable(within milliseconds: Int32) -> Bool {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // SAFETY: the kernel fills one structure on our stack.
        return unsafe poll(&wanted, 1, milliseconds) == 1 && wanted.revents & Int16(POLLIN) != 0
    }
}
