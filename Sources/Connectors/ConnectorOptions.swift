internal import Foundation
internal import Journal

/// How a connector service is set up.
package struct ConnectorOptions: Sendable {
    /// The directory for everything the service keeps; created when it is absent.
    package var stateDirectory: String
    /// Whether a first start, without `connectors.json5`, creates the demo connections with their data.
    package var createsDemo = true
    /// Overrides the pace of every connection; `nil` keeps what `connectors.json5` says.
    package var rowsPerSecond: Int?
    /// Overrides the minimum duration of every connection's jobs.
    package var minimumJobMilliseconds: Int64?
    /// How many jobs are kept per connection; the oldest go first. 10,000 of them cost about 4 MB of memory.
    package var jobsKept = 10_000
    /// The journal is compacted when it has grown by this much.
    package var compactionBytes = 8 << 20
    /// How long an answer waits for the disk before it becomes a 503.
    package var commitTimeout: Duration = .seconds(10)
    /// Threads for reading sources and writing destinations.
    package var workThreads = 2
    /// The time of day, in epoch milliseconds.
    package var now: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
    /// Random bits, for ids that nobody can guess.
    package var random: @Sendable () -> UInt64 = {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
    /// Where the operator reads what is unusual; one line each.
    package var warn: @Sendable (String) -> Void = { line in
        try? FileHandle.standardError.write(contentsOf: Array("gateway: warning: connectors: \(line)\n".utf8))
    }
    var storage: any Storage = DiskStorage()
    /// Opens the folder of the journal, given its path. No limit on what is read: a start without the state is no way out.
    var journalDisk: @Sendable (String) -> any JournalStorage = { JournalFolder(path: $0, maxBytes: .max) }

    package init(stateDirectory: String) { self.stateDirectory = stateDirectory }
}
