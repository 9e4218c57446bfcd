import Connectors
import Foundation

extension ConnectorService {
    /// Starts the service over the state folder, at the pace that the environment asks for.
    static func start(in state: StateFolder) throws(ServeCommand.Refusal) -> ConnectorService {
        var options = ConnectorOptions(stateDirectory: state.path)
        try options.applyPace(of: ProcessInfo.processInfo.environment)
        do { return try start(options) } catch {
            throw ServeCommand.Refusal(line: "the connector service does not start: \(error)")
        }
    }
}

extension ConnectorOptions {
    /// The demo's pace may be changed for tests and trials: rows per second, and the least duration of a job.
    fileprivate mutating func applyPace(of environment: [String: String]) throws(ServeCommand.Refusal) {
        func number(_ name: String) throws(ServeCommand.Refusal) -> Int? {
            guard let text = environment[name], !text.isEmpty else { return nil }
            guard let number = Int(text), number > 0 else {
                throw ServeCommand.Refusal(line: "\(name) must be a positive whole number, not \"\(text)\"")
            }
            return number
        }
        rowsPerSecond = try number("GATEWAY_CONNECTORS_ROWS_PER_SECOND")
        minimumJobMilliseconds = try number("GATEWAY_CONNECTORS_MINIMUM_MS").map(Int64.init)
    }
}
