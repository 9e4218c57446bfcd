import ConnectorServer
import Connectors
import Foundation
import Transport

/// `gateway connectors`: serves the connector service to a gateway in another process.
enum ConnectorsCommand {
    static func run(_ words: [String], signals: SignalThread) async -> Int32 {
        let arguments: Arguments
        do throws(Arguments.Misuse) {
            arguments = try Arguments(
                words, names: ["listen", "state", "workers"], variables: "GATEWAY_CONNECTORS_")
        } catch { return Help.refuse(error.reason, usage: "gateway connectors --help") }
        if arguments.wantsHelp {
            print(Help.connectors)
            return 0
        }
        if let stray = arguments.positional.first {
            return Help.refuse("\"\(stray)\" is not an option of connectors", usage: "gateway connectors --help")
        }
        do throws(StartupError) {
            try await serve(arguments, until: signals)
            SignalThread.exit()
        } catch {
            return error.report(usage: "gateway connectors --help")
        }
    }

    private static func serve(_ arguments: Arguments, until signals: SignalThread) async throws(StartupError) {
        raiseDescriptorLimit()
        let options = ConnectorServer.Options(
            listen: try ListenOptions.address(
                arguments.value("listen") ?? "127.0.0.1:8445", "--listen"),
            workers: try ListenOptions.workers(arguments) ?? availableProcessors())
        let pace = try ConnectorOptions.Pace(of: ProcessInfo.processInfo.environment)
        let state: StateFolder
        do throws(StateFolder.Unusable) { state = try StateFolder(path: arguments.value("state") ?? "state") } catch {
            throw StartupError(line: error.description)
        }
        defer { state.release() }
        let service = try ConnectorService.start(in: state, at: pace)
        let server: ConnectorServer
        do throws(ConnectorServer.StartError) { server = try ConnectorServer(service, options) } catch {
            await service.shutdown()
            throw StartupError(line: error.description)
        }
        StartupBanner.show("listening on http://\(server.listening)")
        if ["0.0.0.0", "::"].contains(server.listening.host) {
            Help.report(
                "warning: the service on port \(server.listening.port) checks no token, so any client can act for any organization: allow only the gateway to connect"
            )
        }
        // This command has nothing to reload for SIGHUP.
        _ = await signals.awaitStop(
            SignalActions(
                reload: {},
                drain: { signals in
                    Help.report("stopping: the service waits for requests in flight")
                    server.beginDrain()
                    return signals.wait(until: Instant.now() + drainTimeout, or: { server.isDrained })
                }))
        server.stop()
        await service.shutdown()
        Help.report("stopped")
    }

    /// The time for requests in flight, before their connections are closed. A request waits for its body and once for
    /// the disk.
    private static let drainTimeout = Duration.seconds(60)
}
