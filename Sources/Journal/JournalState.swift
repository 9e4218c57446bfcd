/// What a journal still has to write, and what its file must hold: group commit and compaction, without disk or thread.
///
/// Everything that was appended while the disk was busy is one step, with one `fdatasync`. Each record belongs to a key; the
/// latest one of each key that lives is the snapshot, which is all that a new file has to hold.
package struct JournalState {
    private enum Mode {
        /// The file has everything but `pending`.
        case healthy
        /// A new file is being written; it has everything but `pending`.
        case recovering
        /// Only a new file helps. `pending` is empty, for `snapshot` has it all.
        case failed
    }

    /// What one visit to the disk has to do.
    package struct Step: Sendable {
        /// To be appended, where there is no new file. Not joined yet, for that takes its time.
        package let records: [[UInt8]]
        /// What a new file is to hold: the record of each key.
        package let snapshot: [UInt64: [UInt8]]?
        /// Whether the new file is the only way.
        package let needsSnapshot: Bool
        /// All changes up to here are then on the disk.
        package let position: UInt64

        package init(records: [[UInt8]], snapshot: [UInt64: [UInt8]]?, needsSnapshot: Bool, position: UInt64) {
            self.records = records
            self.snapshot = snapshot
            self.needsSnapshot = needsSnapshot
            self.position = position
        }
    }

    /// The record of each key that lives.
    private var snapshot: [UInt64: [UInt8]] = [:]
    private var pending: [[UInt8]] = []
    /// What `pending` takes in the file.
    package private(set) var pendingBytes = 0
    private var mode = Mode.failed
    private var isRecoveryDue = true
    private var appended: UInt64 = 0
    private var durable: UInt64 = 0
    private var nextCompaction: Int
    /// The size of the file in bytes.
    package private(set) var fileBytes = 0
    private let minCompaction: Int

    /// Nothing is appended to a file that is longer than this.
    package static let maxFileBytes = 256 << 20
    /// More than this does not wait for a disk that hangs.
    package static let maxPending = 16 << 20

    /// A file below `minCompaction` bytes is not worth writing anew.
    package init(minCompaction: Int) {
        self.minCompaction = minCompaction
        nextCompaction = minCompaction
    }

    /// Whether changes find their way to the disk.
    package var isAvailable: Bool { if case .failed = mode { false } else { true } }

    /// Whether ``beginStep()`` is due. After a failure it is due only once ``mend()`` was called.
    package var hasWork: Bool {
        switch mode {
        case .healthy: !pending.isEmpty
        case .recovering: true
        case .failed: isRecoveryDue
        }
    }

    /// Whether the change at this position, and all changes before it, are on the disk.
    package func isDurable(_ position: UInt64) -> Bool { position <= durable }

    /// The record of `key` is `record` from now on. Returns the change's position.
    package mutating func set(_ key: UInt64, _ record: [UInt8]) -> UInt64 {
        snapshot[key] = record
        return append(record)
    }

    /// `key` has no record from now on, as `record` says. Returns the change's position.
    package mutating func remove(_ key: UInt64, _ record: [UInt8]) -> UInt64 {
        snapshot[key] = nil
        return append(record)
    }

    private mutating func append(_ record: [UInt8]) -> UInt64 {
        appended += 1
        if isAvailable {
            pending.append(record)
            pendingBytes += JournalFrame.headSize + record.count
        }
        if pendingBytes > Self.maxPending { breakOff() }
        return appended
    }

    /// A disk that failed may work again.
    package mutating func mend() { if case .failed = mode { isRecoveryDue = true } }

    /// Takes all pending records. ``ended(_:succeeded:fileBytes:)`` takes the result of the step.
    package mutating func beginStep() -> Step {
        var needsSnapshot = fileBytes > Self.maxFileBytes
        if case .failed = mode {
            mode = .recovering
            isRecoveryDue = false
            needsSnapshot = true
        }
        let wantsSnapshot = needsSnapshot || fileBytes + pendingBytes > nextCompaction
        let step = Step(
            records: pending, snapshot: wantsSnapshot ? snapshot : nil, needsSnapshot: needsSnapshot,
            position: appended)
        pending = []
        pendingBytes = 0
        return step
    }

    /// The visit to the disk is over. After a failure, the next step writes a new file. `fileBytes` is the size of the
    /// file now.
    package mutating func ended(_ step: Step, succeeded: Bool, fileBytes: Int) {
        guard succeeded else { return breakOff() }
        durable = step.position
        self.fileBytes = fileBytes
        // Twice what it is, so that a file of live records alone is not written again and again.
        if step.snapshot != nil { nextCompaction = max(minCompaction, 2 * fileBytes) }
        // Not where an overflow has failed it meanwhile: what came since is not in the file.
        if case .recovering = mode { mode = .healthy }
    }

    private mutating func breakOff() {
        mode = .failed
        pending = []
        pendingBytes = 0
    }
}
