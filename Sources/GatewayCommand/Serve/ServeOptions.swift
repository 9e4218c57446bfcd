import Connectors
import Foundation
import Transport

/// What a gateway is started with: folders, addresses, and where its lines go.
struct ServeOptions: Sendable {
    var policyFolder = "policies"
    /// For certificates, tokens and data of this gateway.
    var stateFolder = "state"
    var flags = ListenOptions.Flags()
    /// Of the connector service in this process.
    var pace = ConnectorOptions.Pace()
    /// Writes a piece of the access log and says how many bytes it has written; it may wait for their reader.
    var writeLog: @Sendable ([UInt8]) -> Int = { StandardStream.output.write($0) }
    /// Tells the operator what happens while the gateway runs, a line at a time.
    var report: @Sendable (String) -> Void = { Help.report($0) }
    /// Shows mistakes and warnings of the policies that the start finds, as text of several lines.
    var showDiagnostics: @Sendable (String) -> Void = { StandardError.write($0) }
    /// Shows a warning of policies that were reloaded; must not wait for its reader.
    var showWarning: @Sendable (String) -> Void = { StandardError.writeLine($0) }
    /// Shows a demo token that was made just now, before it becomes valid.
    var showToken: @Sendable (String) -> Void = { StartupBanner.show("demo token, shown this once: \($0)") }
}

extension ServeOptions {
    /// What flags and variables say, and else the defaults.
    init(_ arguments: Arguments) throws(StartupError) {
        self.init()
        flags = try ListenOptions.Flags(arguments)
        pace = try ConnectorOptions.Pace(of: ProcessInfo.processInfo.environment)
        policyFolder = arguments.value("policies") ?? policyFolder
        stateFolder = arguments.value("state") ?? stateFolder
    }
}
