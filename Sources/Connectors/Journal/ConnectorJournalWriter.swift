internal import Journal

/// Writes frames at the end of the journal file, and new generations; belongs to the journal's thread.
struct ConnectorJournalWriter {
    private let files: JournalFiles
    private let threshold: Int
    private let random: @Sendable () -> UInt64
    private var generation: Int
    private var file: JournalAppender
    private var nextCompaction: Int
    /// The names of a new generation may not be on the disk yet.
    private var needsNames = false
    /// The snapshot of the next generation may have its name, although the rename failed. Recovery would then start from it.
    private var isNextInDoubt = false

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

    /// Makes `payloads` durable, all or none of them.
    ///
    /// They are one frame, and one write: a part of it is no frame, so that a crash leaves all of its records or none.
    mutating func commit(_ payloads: [[UInt8]], warn: (String) -> Void) -> CommitOutcome {
        do { try repair() } catch {
            warn(Self.warning(error))
            return .notCommitted
        }
        do {
            try file.append([Self.joined(payloads)])
            try file.synchronize()
            return .committed
        } catch {
            warn(Self.warning(error))
            // Not only before the next write: a crash now must not find the refused records.
            do { try repair() } catch { return .unknown }
            return .notCommitted
        }
    }

    private static func joined(_ payloads: [[UInt8]]) -> [UInt8] {
        if payloads.count == 1 { return payloads[0] }
        var joined: [UInt8] = []
        joined.reserveCapacity(payloads.reduce(0) { $0 + $1.count })
        for payload in payloads { joined += payload }
        return joined
    }

    private static func warning(_ error: any Error) -> String {
        "the journal cannot be written, changes get 503: \(error)"
    }

    /// Makes sure that the file ends where it is durable, and that recovery would choose it. Before anything is written to it.
    private mutating func repair() throws {
        if isNextInDoubt {
            // The old generation has everything. Without a snapshot that has its name, recovery starts from the old one.
            try files.disk.remove(JournalFiles.snapshot(generation + 1))
            try files.disk.synchronizeNames()
            isNextInDoubt = false
            discardNext()
        }
        if needsNames {
            try files.disk.synchronizeNames()
            needsNames = false
        }
        try file.cutToDurable()
    }
}

extension ConnectorJournalWriter {
    /// Starts a new generation if the journal has grown by the threshold, and by half of the snapshot it began with.
    mutating func compactIfDue(_ snapshot: () -> [JournalRecord], warn: (String) -> Void) {
        guard file.durableLength >= nextCompaction, !file.needsCut, !needsNames, !isNextInDoubt else { return }
        do { try compact(snapshot(), warn: warn) } catch {
            warn("the journal cannot be compacted and keeps growing: \(error)")
            nextCompaction = file.durableLength + threshold
        }
    }

    private mutating func compact(_ records: [JournalRecord], warn: (String) -> Void) throws {
        let disk = files.disk
        let (old, next) = (generation, generation + 1)
        let unfinished = JournalFiles.unfinishedSnapshot(next)
        let (newFile, snapshotLength): (JournalAppender, Int)
        do {
            snapshotLength = try write(records, to: unfinished)
            var file = try JournalAppender(creating: JournalFiles.journal(next), on: disk, salt: random())
            try file.synchronize()
            // First the journal's name, then the snapshot's: a snapshot with a name has its journal.
            try disk.synchronizeNames()
            newFile = file
        } catch {
            discardNext()
            throw error
        }
        do { try disk.rename(unfinished, to: JournalFiles.snapshot(next)) } catch {
            isNextInDoubt = true
            try? repair()
            throw error
        }
        // From here on recovery may start from the new generation, so nothing may be written to the old one any more.
        generation = next
        file = newFile
        nextCompaction = file.durableLength + max(threshold, snapshotLength / 2)
        needsNames = true
        // The old files stay while recovery may need them. Those that stay now, the next start removes.
        do { try repair() } catch {
            return warn(
                "the names of the journal's new files are not durable yet; the old files stay until the next start: "
                    + "\(error)")
        }
        do {
            try disk.remove(JournalFiles.journal(old))
            try disk.remove(JournalFiles.snapshot(old))
        } catch { warn("the journal's old files cannot be removed, and take space until the next start: \(error)") }
    }

    /// Removes what there is of the next generation, whose snapshot has no name: it takes room that the disk may not have. What
    /// cannot be removed now, the next start removes.
    private func discardNext() {
        try? files.disk.remove(JournalFiles.unfinishedSnapshot(generation + 1))
        try? files.disk.remove(JournalFiles.journal(generation + 1))
    }

    /// Writes a snapshot, durably, and returns its length in bytes.
    private func write(_ records: [JournalRecord], to name: String) throws -> Int {
        var file = try JournalAppender(creating: name, on: files.disk, salt: random())
        var frame: [UInt8] = []
        for record in records {
            let payload = JournalChange([record]).payload
            if !frame.isEmpty, frame.count + payload.count > Self.snapshotFrameBytes {
                try file.append([frame])
                frame = []
            }
            frame += payload
        }
        if !frame.isEmpty { try file.append([frame]) }
        // The empty frame says that nothing is missing.
        try file.append([[]])
        try file.synchronize()
        return file.durableLength
    }

    /// A frame of a snapshot is longer only where one record is.
    private static let snapshotFrameBytes = JournalFrame.limit / 8
}
