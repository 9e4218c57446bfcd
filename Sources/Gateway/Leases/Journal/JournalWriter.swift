internal import Transport

/// The journal's file, as its one writer has it. Blocks.
struct JournalWriter: Sendable {
    private let disk: any JournalStorage
    /// `nil` while nobody knows what the file holds or whether its name is durable: only a new file helps.
    private var file: (any JournalFile)?
    /// How long the file is.
    private(set) var bytes = 0

    /// The file of all leases of a gateway.
    static let name = "leases.journal"
    /// What the next file is called until it is whole.
    static let unfinishedName = "leases.journal.new"

    init(disk: any JournalStorage) { self.disk = disk }

    private var isSound: Bool { file != nil }

    /// Writes what a step hands over. A new file that is only wanted for its size need not succeed.
    mutating func write(_ step: JournalState.Step) throws(SystemError) {
        if let image = step.image {
            do throws(SystemError) { return try rewrite(Array(image.values.joined())) } catch {
                if step.needsImage || !isSound { throw error }
            }
        }
        if !step.records.isEmpty { try append(step.records) }
    }

    /// Makes `records` durable behind what is there. After an error the file is not sound: a failed write may have left any part
    /// of itself, and after a failed `fdatasync` the kernel may have dropped what it could not write.
    private mutating func append(_ records: [UInt8]) throws(SystemError) {
        guard let file else { throw SystemError("append", number: SystemError.lost) }
        do throws(SystemError) {
            try file.append(records.span)
            try file.synchronize()
        } catch {
            self.file = nil
            throw error
        }
        bytes += records.count
    }

    /// Replaces the file by one that holds `records`. A crash leaves the old file or the new one, both whole. An error before
    /// the new file has the name leaves a sound old file as it was.
    private mutating func rewrite(_ records: [UInt8]) throws(SystemError) {
        let next = try disk.create(Self.unfinishedName)
        try next.append(records.span)
        try next.synchronize()
        // From here until the folder is durable, which of the two files a crash leaves is open: neither may grow.
        file = nil
        try disk.rename(Self.unfinishedName, to: Self.name)
        try disk.synchronizeNames()
        file = next
        bytes = records.count
    }
}

extension SystemError {
    /// EIO.
    fileprivate static let lost: Int32 = 5
}
