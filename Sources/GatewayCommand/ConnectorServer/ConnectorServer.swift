import Connectors
import Gateway
import Transport

/// The connector service served over plain HTTP/1.1: its address, its workers, and their life from start to drained.
final class ConnectorServer: Sendable {
    struct Options: Sendable {
        var listen: SocketAddress
        var workers: Int
        /// Connections stay idle for longer than a gateway keeps one in its pool: the side that sends the next request has to
        /// be the one that closes, or the request meets a connection that is just going away.
        var timeouts = ServerTimeouts(idle: .seconds(120))
        /// For the bodies of all requests under way.
        var bodyMemoryBytes = 256 << 20
    }

    /// With the port that was chosen, where the system was to choose one.
    let listening: SocketAddress
    private let workers: [ConnectorWorker]
    private let threads: [WorkThread]

    init(_ service: ConnectorService, _ options: Options) throws(StartupError) {
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
            throw StartupError(
                line: error.isAddressInUse
                    ? "\(address) is in use: stop what listens there, or choose another address with --listen"
                    : "cannot listen on \(address): \(error)")
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
    func beginDrain() {
        for worker in workers { worker.loop.perform { worker.drain() } }
    }

    /// Nothing is accepted any more, and the last connection has ended.
    var isDrained: Bool { workers.allSatisfy(\.isDrained) }

    /// Stops the loops, whatever they hold, and waits for their threads.
    func stop() {
        for worker in workers { worker.loop.perform { worker.loop.stop() } }
        for thread in threads { thread.join() }
    }
}
