import Connectors
import Foundation
import Transport

/// The options of a start: folders, addresses, and functions that print.
struct ServeOptions: Sendable {
    var policyFolder = "policies"
    /// The folder for the certificates, tokens and data of this gateway.
    var stateFolder = "state"
    var flags = ListenOptions.Flags()
    /// The pace of the connector service in this process.
    var pace = ConnectorOptions.Pace()
    /// Writes a piece of the access log and returns the number of bytes that it has written. It may wait for the reader.
    var writeLog: @Sendable ([UInt8]) -> Int = { StandardStream.output.write($0) }
    /// Prints a line for the operator.
    var report: @Sendable (String) -> Void = { Help.report($0) }
    /// Prints the errors and warnings of the policies at the start, as text of several lines.
    var showDiagnostics: @Sendable (String) -> Void = { StandardError.write($0) }
    /// Prints a warning of reloaded policies. It must not wait for the reader.
    var showWarning: @Sendable (String) -> Void = { StandardError.writeLine($0) }
    /// Prints a new demo token, before the token becomes valid.
    var showToken: @Sendable (String) -> Void = { StartupBanner.show("demo token, printed only once: \($0)") }
}

extension ServeOptions {
    /// The values of flags and variables, or else the defaults.
    init(_ arguments: Arguments) throws(StartupError) {
        self.init()
        flags = try ListenOptions.Flags(arguments)
        pace = try ConnectorOptions.Pace(of: ProcessInfo.processInfo.environment)
        policyFolder = arguments.value("policies") ?? policyFolder
        stateFolder = arguments.value("state") ?? stateFolder
    }
}
