/// What the journal still has to write, and what its file must hold: the state behind ``LeaseJournal``, without disk or thread.
struct JournalState {
    private enum Mode {
        /// The file has everything but `pending`.
        case sound
        /// A new file is being written; it has everything but `pending`.
        case mending
        /// Only a new file helps. `pending` is empty, for `image` has it all.
        case broken
    }

    /// What one visit to the disk has to do.
    struct Step {
        /// To be appended, where there is no new file.
        let records: [UInt8]
        /// What a new file is to hold: the record of each lease. Not joined yet, for that takes its time.
        let image: [UInt64: [UInt8]]?
        /// Whether the new file is the only way.
        let needsImage: Bool
        /// All changes up to here are then on the disk.
        let position: UInt64
    }

    /// The record of each lease that lives, by its serial.
    private var image: [UInt64: [UInt8]] = [:]
    private var pending: [UInt8] = []
    private var mode = Mode.broken
    private var isMendingDue = true
    private var appended: UInt64 = 0
    private var durable: UInt64 = 0
    private var nextCompaction: Int
    private(set) var fileBytes = 0
    private let minCompaction: Int

    /// No file grows beyond this.
    static let maxFileBytes = 256 << 20
    /// More than this does not wait for a disk that hangs.
    static let maxPending = 16 << 20

    /// A file below `minCompaction` bytes is not worth writing anew.
    init(minCompaction: Int) {
        self.minCompaction = minCompaction
        nextCompaction = minCompaction
    }

    /// Whether changes find their way to the disk.
    var isAvailable: Bool { if case .broken = mode { false } else { true } }

    var hasWork: Bool {
        switch mode {
        case .sound: !pending.isEmpty
        case .mending: true
        case .broken: isMendingDue
        }
    }

    func isDurable(_ position: UInt64) -> Bool { position <= durable }

    /// Takes note of a change and returns its position.
    mutating func append(_ frame: [UInt8], of change: LeaseChange) -> UInt64 {
        switch change {
        case .held(let entry): image[entry.serial] = frame
        case .freed(let serial): image[serial] = nil
        }
        appended += 1
        if isAvailable { pending += frame }
        if pending.count > Self.maxPending { breakOff() }
        return appended
    }

    /// A disk that failed may work again.
    mutating func mend() { if case .broken = mode { isMendingDue = true } }

    mutating func beginStep() -> Step {
        var needsImage = fileBytes > Self.maxFileBytes
        if case .broken = mode {
            mode = .mending
            isMendingDue = false
            needsImage = true
        }
        let wantsImage = needsImage || fileBytes + pending.count > nextCompaction
        let step = Step(
            records: pending, image: wantsImage ? image : nil, needsImage: needsImage,
            position: appended)
        pending = []
        return step
    }

    mutating func ended(_ step: Step, succeeded: Bool, fileBytes: Int) {
        guard succeeded else { return breakOff() }
        durable = step.position
        self.fileBytes = fileBytes
        // Twice what it is, so that a file of live leases alone is not written again and again.
        if step.image != nil { nextCompaction = max(minCompaction, 2 * fileBytes) }
        // Not where an overflow has broken it meanwhile: what came since is not in the file.
        if case .mending = mode { mode = .sound }
    }

    private mutating func breakOff() {
        mode = .broken
        pending = []
    }
}
