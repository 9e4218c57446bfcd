package import Transport

/// The writer of a journal that is one file. It appends records, or replaces the file by a new one. Blocks.
package struct JournalFileWriter: Sendable {
    private let disk: any JournalStorage
    private let name: String
    private let makeSalt: @Sendable () -> UInt64
    /// `nil` while the contents of the file, or its name on the disk, are unknown. Then the next step must write a new file.
    private var file: JournalAppender?
    /// The length of the file.
    package private(set) var bytes = 0

    /// The first step must have a snapshot. `salt` returns the random number of each new file.
    package init(disk: any JournalStorage, name: String, salt: @escaping @Sendable () -> UInt64) {
        self.disk = disk
        self.name = name
        makeSalt = salt
    }

    /// The name of a new file until it is complete.
    private var unfinishedName: String { "\(name).new" }

    /// Writes the records or the snapshot of `step`. If a snapshot is only for compaction and cannot be written, the
    /// records are appended instead.
    package mutating func write(_ step: JournalState.Step) throws(SystemError) {
        if let snapshot = step.snapshot {
            do throws(SystemError) { return try rewrite(snapshot) } catch {
                if step.needsSnapshot || file == nil { throw error }
            }
        }
        if !step.records.isEmpty { try append(step.records) }
    }

    /// Appends `records`, durably. After an error the contents of the file are unknown: a failed write may have written
    /// any part, and after a failed `fdatasync` the kernel may have dropped what it could not write.
    private mutating func append(_ records: [[UInt8]]) throws(SystemError) {
        guard var file else { throw SystemError("append", number: SystemError.lost) }
        // After an error only a new file helps.
        self.file = nil
        try file.append(records)
        try file.synchronize()
        bytes = file.durableLength
        self.file = file
    }

    /// Replaces the file by one that holds `snapshot`. After a crash the old file or the new one is there, and complete.
    /// An error before the rename does not change the old file.
    private mutating func rewrite(_ snapshot: [UInt64: [UInt8]]) throws(SystemError) {
        do throws(SystemError) { try replaceFile(by: snapshot) } catch {
            // An incomplete file takes space that a full disk needs.
            try? disk.remove(unfinishedName)
            throw error
        }
    }

    private mutating func replaceFile(by snapshot: [UInt64: [UInt8]]) throws(SystemError) {
        var next = try JournalAppender(
            creating: unfinishedName, on: disk, salt: makeSalt(), records: Array(snapshot.values))
        try next.synchronize()
        // From here until the folder is durable, a crash can leave either file, so neither may grow.
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
