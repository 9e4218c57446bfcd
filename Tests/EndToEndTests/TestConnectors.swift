import ConnectorServer
import Connectors
import Testing
import Transport

@testable import GatewayCommand

/// The connector service alone in this process on a port of its own, joined as in `gateway connectors`.
final class TestConnectors {
    let server: ConnectorServer
    let service: ConnectorService
    var port: UInt16 { server.listening.port }
    private var isStopped = false

    /// Starts over what the folder holds.
    init(
        in folder: TestFolder, jobMilliseconds: Int64 = 1, _ change: (inout ConnectorServer.Options) -> Void = { _ in }
    ) throws {
        try TestConnections.write(to: folder)
        var options = ConnectorOptions(stateDirectory: folder.state)
        options.createsDemo = false
        options.minimumJobMilliseconds = jobMilliseconds
        var serving = ConnectorServer.Options(listen: SocketAddress(host: "127.0.0.1", port: 0), workers: 2)
        change(&serving)
        service = try ConnectorService.start(options)
        server = try ConnectorServer(service, serving)
    }

    /// Ends everything, whatever it does.
    func stop() async {
        if isStopped { return }
        isStopped = true
        server.stop()
        await service.shutdown()
    }
}

/// Gives the test a connector service of its own, and leaves nothing of it behind.
func withConnectors(
    jobMilliseconds: Int64 = 1, _ change: (inout ConnectorServer.Options) -> Void = { _ in },
    _ body: (TestConnectors) async throws -> Void
) async throws {
    try await withTestFolder { folder in
        let connectors = try TestConnectors(in: folder, jobMilliseconds: jobMilliseconds, change)
        do { try await body(connectors) } catch {
            await connectors.stop()
            throw error
        }
        await connectors.stop()
    }
}
