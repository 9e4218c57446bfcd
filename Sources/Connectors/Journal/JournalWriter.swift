internal import Journal

/// Writes frames at the end of the journal file, and new generations; belongs to the journal's thread.
struct JournalWriter {
    private let files: JournalFiles
    private let threshold: Int
    private let random: @Sendable () -> UInt64
    private var generation: Int
    private var file: JournalAppender
    private var nextCompaction: Int
    /// The names of a new generation may not be on the disk yet.
    private var needsNames = false

    /// Opens the journal where `recovery` left it.
    init(
        _ files: JournalFiles, _ recovery: JournalRecovery, compactAfter threshold: Int,
        random: @escaping @Sendable () -> UInt64
    ) throws {
        self.files = files
        self.threshold = threshold
        self.random = random
        generation = recovery.generation
        file = try JournalAppender(
            continuing: JournalFiles.journal(generation), on: files.disk, salt: recovery.salt, length: recovery.length)
        nextCompaction = JournalHeader.size + max(threshold, recovery.snapshotLength / 2)
    }

    /// The records of as many of the first `entries` as fit into one frame, at least one.
    func group<Entry>(
        _ entries: ArraySlice<Entry>, records: (Entry) -> [JournalRecord]
    ) -> (payload: [UInt8], count: Int) {
        var writer = RecordWriter()
        var count = 0
        for entry in entries {
            for record in records(entry) { record.encode(into: &writer) }
            count += 1
            if writer.bytes.count > JournalFrame.limit / 8 { break }
        }
        return (writer.bytes, count)
    }

    /// Makes `payload` durable, or returns `false` and leaves the journal as it was.
    ///
    /// One frame is one write: a part of it is no frame, so that a crash leaves all of its records or none.
    mutating func commit(_ payload: [UInt8], warn: (String) -> Void) -> Bool {
        do {
            guard payload.count <= JournalFrame.limit else { return false }
            try settle()
            try file.append([payload])
            try file.synchronize()
            return true
        } catch {
            warn("the journal cannot be written, changes get 503: \(error)")
            // Not only before the next write: a crash now must not find the refused records.
            try? settle()
            return false
        }
    }

    private mutating func settle() throws {
        if needsNames {
            try files.disk.synchronizeNames()
            needsNames = false
        }
        try file.settle()
    }
}

extension JournalWriter {
    /// Starts a new generation if the journal has grown by the threshold, and by half of the snapshot it began with.
    mutating func compactIfDue(_ snapshot: () -> [JournalRecord], warn: (String) -> Void) {
        guard file.durableLength >= nextCompaction, !file.needsCut, !needsNames else { return }
        do { try compact(snapshot()) } catch {
            warn("the journal cannot be compacted and keeps growing: \(error)")
            nextCompaction = file.durableLength + threshold
        }
    }

    private mutating func compact(_ records: [JournalRecord]) throws {
        let disk = files.disk
        let (old, next) = (generation, generation + 1)
        let unfinished = JournalFiles.unfinishedSnapshot(next)
        let snapshotLength = try write(records, to: unfinished)
        var newFile = try JournalAppender(creating: JournalFiles.journal(next), on: disk, salt: random())
        try newFile.synchronize()
        // First the journal's name, then the snapshot's: a snapshot with a name has its journal.
        try disk.synchronizeNames()
        try disk.rename(unfinished, to: JournalFiles.snapshot(next))
        // From here on recovery may start from the new generation, so nothing may be written to the old one any more.
        generation = next
        file = newFile
        nextCompaction = file.durableLength + max(threshold, snapshotLength / 2)
        needsNames = true
        try settle()
        try disk.remove(JournalFiles.journal(old))
        try disk.remove(JournalFiles.snapshot(old))
    }

    /// Writes a snapshot, durably, and returns its length in bytes.
    private func write(_ records: [JournalRecord], to name: String) throws -> Int {
        var file = try JournalAppender(creating: name, on: files.disk, salt: random())
        var rest = records[...]
        while !rest.isEmpty {
            let group = group(rest) { [$0] }
            try file.append([group.payload])
            rest = rest.dropFirst(group.count)
        }
        // The empty frame says that nothing is missing.
        try file.append([[]])
        try file.synchronize()
        return file.durableLength
    }
}
