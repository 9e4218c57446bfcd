package import Connectors
internal import Gateway
package import Transport

/// Serves the connector service over plain HTTP/1.1: its address and its workers, from the start to the end of the
/// drain.
package final class ConnectorServer: Sendable {
    /// The options of the server at start.
    package struct Options: Sendable {
        /// With port 0 the system chooses the port: see ``ConnectorServer/listening``.
        package var listen: SocketAddress
        /// Threads, each with its own loop and its own listening socket.
        package var workers: Int
        /// Idle connections live longer here than in a gateway's pool. The gateway must be the side that closes:
        /// otherwise it may send a request on a connection that this server is closing.
        package var timeouts = ServerTimeouts(idle: .seconds(120))
        /// The limit for the bodies of all requests in flight.
        package var bodyMemoryBytes = 256 << 20

        package init(listen: SocketAddress, workers: Int) {
            self.listen = listen
            self.workers = workers
        }
    }

    /// Why the server did not start; the description is one line for the operator.
    package enum StartError: Error, CustomStringConvertible {
        case addressInUse(SocketAddress)
        case cannotListen(SocketAddress, SystemError)

        package var description: String {
            switch self {
            case .addressInUse(let address):
                "\(address) is in use: stop what listens there, or choose another address with --listen"
            case .cannotListen(let address, let error): "cannot listen on \(address): \(error)"
            }
        }
    }

    /// The address with its port, also where the system chose the port.
    package let listening: SocketAddress
    private let workers: [ConnectorWorker]
    private let threads: [WorkThread]

    /// Binds the address and starts the workers. The server responds to requests from its return on.
    package init(_ service: ConnectorService, _ options: Options) throws(StartError) {
        let bodies = BodyMemoryBudget(limitBytes: options.bodyMemoryBytes)
        var address = options.listen
        var workers: [ConnectorWorker] = []
        do throws(SystemError) {
            // The workers share the port with each other, but with no other process: first the port must be free.
            if address.port != 0 { _ = try Socket.listening(on: address, sharingPort: false) }
            for index in 0..<options.workers {
                let socket = try Socket.listening(on: address, sharingPort: true)
                address.port = socket.localPort
                workers.append(
                    try ConnectorWorker(
                        index: index, socket: socket, service: service, bodies: bodies, options: options))
            }
        } catch {
            throw error.isAddressInUse ? .addressInUse(address) : .cannotListen(address, error)
        }
        listening = address
        self.workers = workers
        threads = workers.map { worker in
            WorkThread(name: "connectors-\(worker.loop.index)") {
                worker.begin()
                worker.loop.run()
            }
        }
    }

    /// Stops accepting, closes idle connections, and lets all requests finish.
    package func beginDrain() {
        for worker in workers { worker.loop.perform { worker.drain() } }
    }

    /// Whether the server accepts nothing any more and the last connection has ended.
    package var isDrained: Bool { workers.allSatisfy(\.isDrained) }

    /// Stops the loops, whatever they are doing, and waits for their threads.
    package func stop() {
        for worker in workers { worker.loop.perform { worker.loop.stop() } }
        for thread in threads { thread.join() }
    }
}
