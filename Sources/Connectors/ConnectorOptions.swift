internal import Foundation
internal import Journal

/// The setup of a connector service.
package struct ConnectorOptions: Sendable {
    /// The directory for everything that the service keeps; the service creates it when it is absent.
    package var stateDirectory: String
    /// Whether a first start, without `connectors.json5`, creates the demo connections with their data.
    package var createsDemo = true
    /// Overrides the pace of every connection; `nil` keeps the pace of `connectors.json5`.
    package var rowsPerSecond: Int?
    /// Overrides the minimum duration of every connection's jobs.
    package var minimumJobMilliseconds: Int64?
    /// How many jobs are kept per connection; the oldest are removed first. 10,000 jobs cost about 4 MB of memory.
    package var jobsKept = 10_000
    /// The journal is compacted when it has grown by this much.
    package var compactionBytes = 8 << 20
    /// How long a response waits for the disk before it becomes a 503.
    package var commitTimeout: Duration = .seconds(10)
    /// Threads for reading sources and writing destinations.
    package var workThreads = 2
    /// The clock, in epoch milliseconds.
    package var now: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
    /// Random bits for unguessable ids.
    package var random: @Sendable () -> UInt64 = {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
    /// Logs a warning for the operator; one line each.
    package var warn: @Sendable (String) -> Void = { line in
        try? FileHandle.standardError.write(contentsOf: Array("gateway: warning: connectors: \(line)\n".utf8))
    }
    var storage: any Storage = DiskStorage()
    /// Opens the folder of the journal, given its path. Without a limit: the service needs all of its state to start.
    var journalDisk: @Sendable (String) -> any JournalStorage = { JournalFolder(path: $0, maxBytes: .max) }

    package init(stateDirectory: String) { self.stateDirectory = stateDirectory }
}
