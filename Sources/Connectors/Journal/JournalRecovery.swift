internal import Journal

/// What the files of a journal say, and where writing goes on.
struct JournalRecovery {
    let generation: Int
    let salt: UInt64
    /// The bytes of the journal that count; what is beyond them is cut off before the next write.
    let length: Int
    /// The bytes of the snapshot that the journal goes on from.
    let snapshotLength: Int
    /// Everything since the beginning, in order.
    let records: [JournalRecord]
    let warnings: [String]

    /// Reads the journal, and removes what an interrupted compaction left.
    ///
    /// Throws when the files cannot be trusted: losing what was acknowledged must be somebody's decision.
    static func read(
        _ files: JournalFiles, storage: any Storage, salt newSalt: @autoclosure () -> UInt64
    ) throws -> JournalRecovery {
        try storage.createDirectory(files.directory)
        let names = try storage.names(in: files.directory)
        let snapshots = names.compactMap { JournalFiles.generation(of: $0, "snapshot") }
        let journals = names.compactMap { JournalFiles.generation(of: $0, "journal") }
        let generation = snapshots.max() ?? 1

        for stray in journals where stray > generation {
            guard try isUnused(files.journal(stray), storage) else {
                throw JournalRefusal(
                    description: "\(files.snapshot(stray)) is missing, without which journal-\(stray) means nothing; "
                        + "restore the state directory from a backup")
            }
            try storage.remove(files.journal(stray))
        }
        for name in names where name.hasSuffix(".tmp") { try storage.remove("\(files.directory)/\(name)") }

        var records: [JournalRecord] = []
        var snapshotLength = 0
        if snapshots.contains(generation) {
            records = try readSnapshot(files.snapshot(generation), storage)
            snapshotLength = try storage.length(of: files.snapshot(generation)) ?? 0
        }
        for old in snapshots where old < generation { try storage.remove(files.snapshot(old)) }
        for old in journals where old < generation { try storage.remove(files.journal(old)) }

        guard journals.contains(generation) else {
            guard names.isEmpty || names.allSatisfy({ $0.hasSuffix(".tmp") }) else {
                throw JournalRefusal(
                    description: "\(files.journal(generation)) is missing; restore the state directory from a backup")
            }
            return try begin(generation, files, storage, salt: newSalt(), warnings: [])
        }
        let path = files.journal(generation)
        let file = try storage.contents(of: path) ?? []
        guard let header = JournalHeader(file) else {
            guard file.count <= JournalHeader.size else { throw damage(path, at: 0) }
            // Nothing is acknowledged before the header is on the disk, so nothing is lost with it.
            return try begin(
                generation, files, storage, salt: newSalt(), records: records, snapshotLength: snapshotLength,
                warnings: ["\(path): dropped an incomplete header"])
        }
        var warnings: [String] = []
        var length = JournalHeader.size
        reading: while length < file.count {
            switch JournalFrame.find(in: file, at: length, salt: header.salt) {
            case .frame(let payload):
                guard let frame = try? JournalRecord.decodeAll(file[payload]) else { throw damage(path, at: length) }
                records += frame
                length = payload.upperBound
            case .torn:
                warnings.append("\(path): dropped \(file.count - length) bytes of a torn write at offset \(length)")
                break reading
            case .damaged: throw damage(path, at: length)
            }
        }
        return JournalRecovery(
            generation: generation, salt: header.salt, length: length, snapshotLength: snapshotLength, records: records,
            warnings: warnings)
    }

    /// Starts the journal of `generation`, durably, with a header only.
    private static func begin(
        _ generation: Int, _ files: JournalFiles, _ storage: any Storage, salt: UInt64,
        records: [JournalRecord] = [], snapshotLength: Int = 0, warnings: [String]
    ) throws(StorageError) -> JournalRecovery {
        try create(files.journal(generation), JournalHeader(salt: salt).encoded(), storage)
        try storage.synchronize(directory: files.directory)
        return JournalRecovery(
            generation: generation, salt: salt, length: JournalHeader.size, snapshotLength: snapshotLength,
            records: records, warnings: warnings)
    }

    static func create(_ path: String, _ bytes: [UInt8], _ storage: any Storage) throws(StorageError) {
        let file = try storage.open(path, for: .write)
        try file.truncate(to: 0)
        try file.write(bytes, at: 0)
        try file.synchronize()
    }

    private static func isUnused(_ path: String, _ storage: any Storage) throws(StorageError) -> Bool {
        (try storage.length(of: path) ?? 0) <= JournalHeader.size
    }

    /// A snapshot was complete before it got its name, so anything wrong with it is damage.
    private static func readSnapshot(_ path: String, _ storage: any Storage) throws -> [JournalRecord] {
        let file = try storage.contents(of: path) ?? []
        guard let header = JournalHeader(file) else { throw damage(path, at: 0) }
        var records: [JournalRecord] = []
        var offset = JournalHeader.size
        while offset < file.count {
            guard case .frame(let payload) = JournalFrame.find(in: file, at: offset, salt: header.salt) else {
                throw damage(path, at: offset)
            }
            offset = payload.upperBound
            // The empty frame is the last one: without it the end of the file could be missing.
            guard !payload.isEmpty else {
                guard offset == file.count else { throw damage(path, at: offset) }
                return records
            }
            guard let frame = try? JournalRecord.decodeAll(file[payload]) else { throw damage(path, at: offset) }
            records += frame
        }
        throw damage(path, at: offset)
    }

    private static func damage(_ path: String, at offset: Int) -> JournalRefusal {
        JournalRefusal(
            description: "\(path) is damaged at offset \(offset); restore the state directory from a backup, or move "
                + "it away to start empty")
    }
}
