package import Connectors
internal import Gateway
package import Transport

/// The connector service served over plain HTTP/1.1: its address, its workers, and their life from start to drained.
package final class ConnectorServer: Sendable {
    package struct Options: Sendable {
        package var listen: SocketAddress
        /// Threads, each with its own loop and its own socket.
        package var workers: Int
        /// Connections stay idle for longer than a gateway keeps one in its pool: the side that sends the next request has to
        /// be the one that closes, or the request meets a connection that is just going away.
        package var timeouts = ServerTimeouts(idle: .seconds(120))
        /// For the bodies of all requests under way.
        package var bodyMemoryBytes = 256 << 20

        package init(listen: SocketAddress, workers: Int) {
            self.listen = listen
            self.workers = workers
        }
    }

    /// Why the server did not start. Its description is the one line a person needs.
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

    /// With the port that was chosen, where the system was to choose one.
    package let listening: SocketAddress
    private let workers: [ConnectorWorker]
    private let threads: [WorkThread]

    /// Binds the address and starts the workers. Requests are answered when it returns.
    package init(_ service: ConnectorService, _ options: Options) throws(StartError) {
        let bodies = BodyMemoryBudget(limitBytes: options.bodyMemoryBytes)
        var address = options.listen
        var workers: [ConnectorWorker] = []
        do throws(SystemError) {
            // The workers share the port among themselves, and with nobody else: alone it must be there to be had.
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

    /// Stops accepting, closes idle connections, and lets every request finish.
    package func beginDrain() {
        for worker in workers { worker.loop.perform { worker.drain() } }
    }

    /// Nothing is accepted any more, and the last connection has ended.
    package var isDrained: Bool { workers.allSatisfy(\.isDrained) }

    /// Stops the loops, whatever they hold, and waits for their threads.
    package func stop() {
        for worker in workers { worker.loop.perform { worker.loop.stop() } }
        for thread in threads { thread.join() }
    }
}
