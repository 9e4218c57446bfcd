package import Transport

/// A journal of one file, as its one writer has it: it grows record by record, or a new file takes its place. Blocks.
package struct JournalFileWriter: Sendable {
    private let disk: any JournalStorage
    private let name: String
    private let makeSalt: @Sendable () -> UInt64
    /// `nil` while nobody knows what the file holds or whether its name is durable: only a new file helps.
    private var file: JournalAppender?
    /// How long the file is.
    package private(set) var bytes = 0

    /// Nothing is written until the first step with a snapshot. `salt` gives each new file its random number.
    package init(disk: any JournalStorage, name: String, salt: @escaping @Sendable () -> UInt64) {
        self.disk = disk
        self.name = name
        makeSalt = salt
    }

    /// What the next file is called until it is whole.
    private var unfinishedName: String { "\(name).new" }

    /// Writes what a step hands over. A new file that is only wanted for its size need not succeed.
    package mutating func write(_ step: JournalState.Step) throws(SystemError) {
        if let snapshot = step.snapshot {
            do throws(SystemError) { return try rewrite(snapshot) } catch {
                if step.needsSnapshot || file == nil { throw error }
            }
        }
        if !step.records.isEmpty { try append(step.records) }
    }

    /// Makes `records` durable behind what is there. After an error the file is not sound: a failed write may have left any part
    /// of itself, and after a failed `fdatasync` the kernel may have dropped what it could not write.
    private mutating func append(_ records: [[UInt8]]) throws(SystemError) {
        guard var file else { throw SystemError("append", number: SystemError.lost) }
        // Only a new file helps after an error.
        self.file = nil
        try file.append(records)
        try file.synchronize()
        bytes = file.durableLength
        self.file = file
    }

    /// Replaces the file by one that holds `snapshot`. A crash leaves the old file or the new one, both whole. An error before
    /// the new file has the name leaves a sound old file as it was.
    private mutating func rewrite(_ snapshot: [UInt64: [UInt8]]) throws(SystemError) {
        var next = try JournalAppender(
            creating: unfinishedName, on: disk, salt: makeSalt(), records: Array(snapshot.values))
        try next.synchronize()
        // From here until the folder is durable, which of the two files a crash leaves is open: neither may grow.
        file = nil
        try disk.rename(unfinishedName, to: name)
        try disk.synchronizeNames()
        file = next
        bytes = next.durableLength
    }
}

extension SystemError {
    /// EIO.
    fileprivate static let lost: Int32 = 5
}
