internal import Journal

/// Writes frames at the end of the journal file; belongs to the journal's thread.
struct JournalWriter {
    private let files: JournalFiles
    private let storage: any Storage
    private let threshold: Int
    private let random: @Sendable () -> UInt64
    private var generation: Int
    private var salt: UInt64
    private var file: any StorageFile
    /// The committed length: every frame before it is on the disk.
    private var length: Int
    private var nextCompaction: Int
    /// Something may stand beyond `length`, so the file has to be cut before it grows again.
    private var needsCut = true
    /// The names of a new generation may not be on the disk yet.
    private var needsDirectory = false

    init(
        _ files: JournalFiles, _ recovery: JournalRecovery, file: any StorageFile, storage: any Storage,
        compactAfter threshold: Int, random: @escaping @Sendable () -> UInt64
    ) {
        self.files = files
        self.storage = storage
        self.threshold = threshold
        self.random = random
        self.file = file
        generation = recovery.generation
        salt = recovery.salt
        length = recovery.length
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
    /// After a failed write or fsync nobody knows what is on the disk beyond `length`. The file is cut there and
    /// fsynced before anything else is written, so that what was refused cannot come back.
    mutating func commit(_ payload: [UInt8], warn: (String) -> Void) -> Bool {
        do {
            guard payload.count <= JournalFrame.limit else { return false }
            try settle()
            var frame: [UInt8] = []
            frame.reserveCapacity(payload.count + JournalFrame.headSize)
            JournalFrame.append(payload, at: length, salt: salt, to: &frame)
            needsCut = true
            try file.write(frame, at: length)
            try file.synchronize()
            needsCut = false
            length += frame.count
            return true
        } catch {
            warn("the journal cannot be written, changes are answered with 503: \(error)")
            // Not only before the next write: a crash now must not find the refused records.
            try? settle()
            return false
        }
    }

    private mutating func settle() throws(StorageError) {
        if needsDirectory {
            try storage.synchronize(directory: files.directory)
            needsDirectory = false
        }
        guard needsCut else { return }
        try file.truncate(to: length)
        try file.synchronize()
        needsCut = false
    }
}

extension JournalWriter {
    /// Starts a new generation if the journal has grown by the threshold, and by half of the snapshot it began with.
    mutating func compactIfDue(_ snapshot: () -> [JournalRecord], warn: (String) -> Void) {
        guard length >= nextCompaction, !needsCut, !needsDirectory else { return }
        do { try compact(snapshot()) } catch {
            warn("the journal cannot be compacted and keeps growing: \(error)")
            nextCompaction = length + threshold
        }
    }

    private mutating func compact(_ records: [JournalRecord]) throws(StorageError) {
        let next = generation + 1
        let newSalt = random()
        let unfinished = files.unfinishedSnapshot(next)
        try storage.remove(unfinished)
        let snapshotLength = try write(records, to: unfinished)

        try storage.remove(files.journal(next))
        try JournalRecovery.create(files.journal(next), JournalHeader(salt: newSalt).encoded(), storage)
        let newFile = try storage.open(files.journal(next), for: .write)
        // First the journal's name, then the snapshot's: a snapshot with a name has its journal.
        try storage.synchronize(directory: files.directory)
        try storage.move(unfinished, to: files.snapshot(next))
        // From here on recovery may start from the new generation, so nothing may be written to the old one any more.
        let old = generation
        generation = next
        salt = newSalt
        file = newFile
        length = JournalHeader.size
        nextCompaction = length + max(threshold, snapshotLength / 2)
        needsDirectory = true
        try settle()
        try storage.remove(files.journal(old))
        try storage.remove(files.snapshot(old))
    }

    private func write(_ records: [JournalRecord], to path: String) throws(StorageError) -> Int {
        let header = JournalHeader(salt: random())
        let file = try storage.open(path, for: .write)
        try file.write(header.encoded(), at: 0)
        var length = JournalHeader.size
        var rest = records[...]
        repeat {
            let group = group(rest) { [$0] }
            var frame: [UInt8] = []
            JournalFrame.append(group.payload, at: length, salt: header.salt, to: &frame)
            try file.write(frame, at: length)
            length += frame.count
            rest = rest.dropFirst(max(1, group.count))
        } while !rest.isEmpty
        if !records.isEmpty {
            var end: [UInt8] = []
            JournalFrame.append([], at: length, salt: header.salt, to: &end)
            try file.write(end, at: length)
            length += end.count
        }
        try file.synchronize()
        return length
    }
}
