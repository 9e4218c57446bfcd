package import Crypto
package import HTTP

/// Why no connection to an endpoint could be made.
package enum ConnectFailure: Error, Equatable, Sendable {
    /// No process listens there, or the peer reset the connection during the connect.
    case refused
    /// No route to the endpoint's network or host.
    case unreachable
    /// The connect or the handshake took too long.
    case deadlinePassed
    /// The client that waits for the exchange has closed its connection.
    case abandoned
    case tls(TLSError)
    /// This machine refused: no descriptors or ports are left.
    case local(SystemError)
}

extension UpstreamConnection {
    /// The address and the TLS settings of an endpoint.
    package struct Target: Sendable {
        /// Numeric: names are resolved before this.
        package let address: SocketAddress
        /// `nil` for plain HTTP.
        package let tls: TLSClientContext?
        /// The name in the endpoint's certificate.
        package let serverName: String

        package init(address: SocketAddress, tls: TLSClientContext?, serverName: String) {
            self.address = address
            self.tls = tls
            self.serverName = serverName
        }
    }

    /// Connects and, with TLS, makes the handshake; each step may take `timeout`.
    package static func connect(
        to target: Target, on loop: EventLoop, timeout: Duration, limits: HeadLimits,
        unlessClosing client: SocketReadiness? = nil
    ) async throws(ConnectFailure) -> UpstreamConnection {
        let socket: Socket
        do throws(SystemError) { socket = try Socket.connecting(to: target.address) } catch {
            throw ConnectFailure(error)
        }
        let connection = try UpstreamConnection(loop: loop, socket: socket, target: target, limits: limits)
        try await connection.awaitConnection(before: loop.now + timeout)
        try await connection.handshake(before: loop.now + timeout, unlessClosing: client)
        return connection
    }
}

extension ConnectFailure {
    init(_ error: SystemError) {
        // Other errors are the peer's doing: a reset during the connect, for example.
        self =
            error.isUnreachable
            ? .unreachable : error.isTimedOut ? .deadlinePassed : error.isOutOfResources ? .local(error) : .refused
    }
}
