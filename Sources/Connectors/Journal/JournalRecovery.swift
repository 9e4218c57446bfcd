internal import Journal

/// The contents of a journal's files, and where writing continues.
struct JournalRecovery {
    let generation: Int
    let salt: UInt64
    /// How many bytes of the journal are valid. The rest is cut off before the next write.
    let length: Int
    /// The length of the snapshot in bytes.
    let snapshotLength: Int
    /// The records of the snapshot and of the journal, in order.
    let records: [JournalRecord]
    let warnings: [String]

    /// Reads the journal, and removes the files that an interrupted compaction left.
    ///
    /// Throws if the files are damaged or incomplete. Only an operator may decide to lose changes that were acknowledged.
    static func read(_ files: JournalFiles, salt newSalt: @autoclosure () -> UInt64) throws -> JournalRecovery {
        let disk = files.disk
        let names = try disk.names()
        let snapshots = names.compactMap { JournalFiles.generation(of: $0, "snapshot") }
        let journals = names.compactMap { JournalFiles.generation(of: $0, "journal") }
        let generation = snapshots.max() ?? 1

        for stray in journals where stray > generation {
            let name = JournalFiles.journal(stray)
            // An interrupted compaction leaves a journal with a header only.
            guard try (disk.contents(of: name) ?? []).count <= JournalHeader.size else {
                throw JournalRefusal(
                    description:
                        "\(files.path(JournalFiles.snapshot(stray))) is missing, without which \(name) means nothing; "
                        + "restore the state directory from a backup")
            }
            try disk.remove(name)
        }
        for name in names where name.hasSuffix(".tmp") { try disk.remove(name) }

        let snapshot =
            try snapshots.contains(generation) ? readSnapshot(JournalFiles.snapshot(generation), files) : Snapshot()
        for old in snapshots where old < generation { try disk.remove(JournalFiles.snapshot(old)) }
        for old in journals where old < generation { try disk.remove(JournalFiles.journal(old)) }

        let name = JournalFiles.journal(generation)
        guard journals.contains(generation) else {
            guard names.allSatisfy({ $0.hasSuffix(".tmp") }) else {
                throw JournalRefusal(
                    description: "\(files.path(name)) is missing; restore the state directory from a backup")
            }
            return try begin(generation, after: snapshot, files, salt: newSalt(), warnings: [])
        }
        let file = try disk.contents(of: name) ?? []
        guard let header = JournalHeader(file) else {
            guard JournalHeader.isTorn(file) else { throw damage(files.path(name), at: 0) }
            // Nothing is acknowledged before the header is on the disk, so nothing is lost.
            return try begin(
                generation, after: snapshot, files, salt: newSalt(),
                warnings: ["\(files.path(name)): dropped an incomplete header"])
        }
        let found = JournalFrame.beginning(of: file, salt: header.salt)
        let records = try records(of: file, in: found.payloads, path: files.path(name))
        if found.rest == .damaged { throw damage(files.path(name), at: found.end) }
        let torn = "\(files.path(name)): dropped \(file.count - found.end) bytes of a torn write at offset \(found.end)"
        return JournalRecovery(
            generation: generation, salt: header.salt, length: found.end, snapshotLength: snapshot.length,
            records: snapshot.records + records, warnings: found.rest == .torn ? [torn] : [])
    }

    /// Creates the journal of `generation`, durably, with a header only.
    private static func begin(
        _ generation: Int, after snapshot: Snapshot, _ files: JournalFiles, salt: UInt64, warnings: [String]
    ) throws -> JournalRecovery {
        var file = try JournalAppender(creating: JournalFiles.journal(generation), on: files.disk, salt: salt)
        try file.synchronize()
        try files.disk.synchronizeNames()
        return JournalRecovery(
            generation: generation, salt: salt, length: file.durableLength, snapshotLength: snapshot.length,
            records: snapshot.records, warnings: warnings)
    }

    private struct Snapshot {
        var records: [JournalRecord] = []
        /// In bytes.
        var length = 0
    }

    /// A snapshot was complete before it got its name, so every error in it is damage.
    private static func readSnapshot(_ name: String, _ files: JournalFiles) throws -> Snapshot {
        let file = try files.disk.contents(of: name) ?? []
        let path = files.path(name)
        guard let header = JournalHeader(file) else { throw damage(path, at: 0) }
        var found = JournalFrame.beginning(of: file, salt: header.salt)
        // The last frame is empty. Without it, the end of the file may be missing.
        guard found.rest == .none, found.payloads.popLast()?.isEmpty == true else { throw damage(path, at: found.end) }
        return Snapshot(records: try records(of: file, in: found.payloads, path: path), length: file.count)
    }

    private static func records(
        of file: [UInt8], in payloads: [Range<Int>], path: String
    ) throws(JournalRefusal) -> [JournalRecord] {
        var records: [JournalRecord] = []
        for payload in payloads {
            do throws(RecordError) { records += try JournalRecord.decodeAll(file[payload]) } catch {
                throw damage(path, at: payload.lowerBound - JournalFrame.headSize)
            }
        }
        return records
    }

    private static func damage(_ path: String, at offset: Int) -> JournalRefusal {
        JournalRefusal(
            description: "\(path) is damaged at offset \(offset); restore the state directory from a backup, or move "
                + "it away to start empty")
    }
}
