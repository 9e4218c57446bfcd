package import Crypto
package import HTTP

/// Why no connection to an endpoint was made.
package enum ConnectFailure: Error, Equatable, Sendable {
    /// Nothing listens there, or the peer reset the connection while it was made.
    case refused
    /// No route to the endpoint's network or host.
    case unreachable
    /// The connection, or its handshake, was not made in time.
    case deadlinePassed
    /// The client whom all this is for has gone.
    case abandoned
    case tls(TLSError)
    /// This machine refused: no descriptors or ports are left.
    case local(SystemError)
}

extension UpstreamConnection {
    /// How an endpoint is reached.
    package struct Target: Sendable {
        /// Numeric: names are resolved before.
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

    /// Connects and, with TLS, shakes hands; each may take `timeout`.
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
        // What is not known is the peer's doing: a reset while connecting, for example.
        self =
            error.isUnreachable
            ? .unreachable : error.isTimedOut ? .deadlinePassed : error.isOutOfResources ? .local(error) : .refused
    }
}
