import Connectors
import Foundation

extension ConnectorService {
    /// Starts the service with its data in the state folder.
    static func start(
        in state: StateFolder, at pace: ConnectorOptions.Pace
    ) throws(StartupError) -> ConnectorService {
        var options = ConnectorOptions(stateDirectory: state.path)
        options.rowsPerSecond = pace.rowsPerSecond
        options.minimumJobMilliseconds = pace.minimumJobMilliseconds
        do { return try start(options) } catch {
            throw StartupError(line: "the connector service cannot start: \(error)")
        }
    }
}

extension ConnectorOptions {
    /// How fast the connector service works: rows per second, and the minimum duration of a job. Tests and trials
    /// change it.
    struct Pace {
        var rowsPerSecond: Int?
        var minimumJobMilliseconds: Int64?
    }
}

extension ConnectorOptions.Pace {
    init(of environment: [String: String]) throws(StartupError) {
        func number(_ name: String) throws(StartupError) -> Int? {
            guard let text = environment[name], !text.isEmpty else { return nil }
            guard let number = Int(text), number > 0 else {
                throw StartupError(
                    line: "\(name) must be a positive whole number, not \"\(text)\"", isMisuse: true)
            }
            return number
        }
        rowsPerSecond = try number("GATEWAY_CONNECTORS_ROWS_PER_SECOND")
        minimumJobMilliseconds = try number("GATEWAY_CONNECTORS_MINIMUM_MS").map(Int64.init)
    }
}
