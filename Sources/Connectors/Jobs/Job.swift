/// One run of work on a connection. A value with pure transitions; the journal makes them durable.
struct Job: Equatable, Sendable {
    /// The work that a job does.
    enum Kind: String, Sendable, CaseIterable {
        /// Reads the rows after the cursors.
        case sync
        /// Erases the destination and the cursors of all streams.
        case reset
        /// Rewinds the cursors of some streams and reads them again.
        case refresh
        /// Erases the destination and the cursors of some streams.
        case clear
    }

    /// The state of a job. It moves to the right only: pending, running, one of the ends.
    enum Status: String, Sendable, CaseIterable {
        case pending
        case running
        case succeeded
        case failed
        case cancelled

        var isEnd: Bool { self != .pending && self != .running }
    }

    /// The work of a job so far; after its end, the committed rows only.
    struct Counters: Equatable, Sendable {
        var rows = 0
        var bytes = 0
        var inserted = 0
        var updated = 0
        var deleted = 0
    }

    let id: String
    let connection: ConnectionKey
    let kind: Kind
    /// The streams to work on, in order. "All streams" is the list of all their names, never an empty list.
    let streams: [String]
    /// Erase the destination rows of `streams` first (refresh only).
    let removesRecords: Bool
    /// Ignore the cursors and replace each destination file by the present rows of the source (sync only).
    let isFullSync: Bool
    let createdAt: Timestamp

    fileprivate(set) var status = Status.pending
    fileprivate(set) var updatedAt: Timestamp
    fileprivate(set) var startedAt: Timestamp?
    fileprivate(set) var endedAt: Timestamp?
    fileprivate(set) var failure: String?
    /// The cancellation was accepted; the job ends at its next step.
    fileprivate(set) var isCancelRequested = false
    /// Streams before this index of `streams` are done.
    fileprivate(set) var streamsDone = 0
    fileprivate(set) var counters = Counters()

    init(
        id: String, connection: ConnectionKey, kind: Kind, streams: [String], removesRecords: Bool = false,
        isFullSync: Bool = false, createdAt: Timestamp
    ) {
        self.id = id
        self.connection = connection
        self.kind = kind
        self.streams = streams
        self.removesRecords = removesRecords
        self.isFullSync = isFullSync
        self.createdAt = createdAt
        updatedAt = createdAt
    }

    /// `nil` until the job has ended.
    var durationMilliseconds: Int64? {
        guard let startedAt, let endedAt else { return nil }
        return max(0, endedAt.milliseconds - startedAt.milliseconds)
    }
}

extension Job {
    /// The job in its first record: a sync is running from then on.
    func afterTrigger(at now: Timestamp) -> Job {
        var job = self
        if kind == .sync { _ = job.started(at: now) }
        return job
    }

    /// Returns `false`, and changes nothing, if the job has started before or has ended.
    mutating func started(at now: Timestamp) -> Bool {
        guard status == .pending else { return false }
        status = .running
        startedAt = now
        updatedAt = now
        return true
    }

    /// Rows were committed; `finishedStream` if they were the last of their stream.
    mutating func checkpointed(_ counters: Counters, finishedStream: Bool, at now: Timestamp) {
        precondition(status == .running, "only a running job has progress")
        self.counters = counters
        if finishedStream { streamsDone += 1 }
        updatedAt = now
    }

    /// Rows were moved that are not committed yet.
    mutating func show(_ counters: Counters) {
        if status == .running { self.counters = counters }
    }

    /// Returns `false` if the job has ended, or is being cancelled already.
    mutating func cancelRequested(at now: Timestamp) -> Bool {
        guard !status.isEnd, !isCancelRequested else { return false }
        isCancelRequested = true
        updatedAt = now
        return true
    }

    /// Returns `false` if the job has ended before: an end is final.
    mutating func ended(_ end: Status, failure: String? = nil, at now: Timestamp) -> Bool {
        precondition(end.isEnd, "\(end) is no end")
        guard !status.isEnd else { return false }
        status = end
        self.failure = end == .failed ? failure ?? "unknown" : nil
        endedAt = now
        updatedAt = now
        return true
    }

    /// Keeps a cancel request that arrived while the runner wrote its own changes of the job.
    mutating func keepCancelRequest(of earlier: Job) {
        if earlier.isCancelRequested { isCancelRequested = true }
    }
}
extension Job {
    /// Appends the job to a journal record.
    func encode(into writer: inout RecordWriter) {
        writer.string(id)
        writer.key(connection)
        writer.byte(kind.code)
        writer.integer(streams.count)
        for stream in streams { writer.string(stream) }
        writer.byte((removesRecords ? 1 : 0) | (isFullSync ? 2 : 0) | (isCancelRequested ? 4 : 0))
        writer.time(createdAt)
        writer.byte(status.code)
        writer.time(updatedAt)
        writer.optional(startedAt) { $0.time($1) }
        writer.optional(endedAt) { $0.time($1) }
        writer.optional(failure) { $0.string($1) }
        writer.integer(streamsDone)
        for count in [counters.rows, counters.bytes, counters.inserted, counters.updated, counters.deleted] {
            writer.integer(count)
        }
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        let id = try reader.string()
        let connection = try reader.key()
        let kind = Kind(code: try reader.byte())
        var streams: [String] = []
        for _ in 0..<(try reader.integer()) { streams.append(try reader.string()) }
        let flags = try reader.byte()
        guard let kind, flags < 8 else { throw RecordError() }
        self.init(
            id: id, connection: connection, kind: kind, streams: streams, removesRecords: flags & 1 != 0,
            isFullSync: flags & 2 != 0, createdAt: try reader.time())
        guard let status = Status(code: try reader.byte()) else { throw RecordError() }
        self.status = status
        isCancelRequested = flags & 4 != 0
        updatedAt = try reader.time()
        startedAt = try reader.optional { reader throws(RecordError) in try reader.time() }
        endedAt = try reader.optional { reader throws(RecordError) in try reader.time() }
        failure = try reader.optional { reader throws(RecordError) in try reader.string() }
        streamsDone = try reader.integer()
        counters.rows = try reader.integer()
        counters.bytes = try reader.integer()
        counters.inserted = try reader.integer()
        counters.updated = try reader.integer()
        counters.deleted = try reader.integer()
    }
}

// The codes are on disk: add cases, never renumber them.
extension Job.Kind {
    fileprivate var code: UInt8 {
        switch self {
        case .sync: 1
        case .reset: 2
        case .refresh: 3
        case .clear: 4
        }
    }

    fileprivate init?(code: UInt8) {
        guard let kind = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = kind
    }
}

extension Job.Status {
    fileprivate var code: UInt8 {
        switch self {
        case .pending: 1
        case .running: 2
        case .succeeded: 3
        case .failed: 4
        case .cancelled: 5
        }
    }

    fileprivate init?(code: UInt8) {
        guard let status = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = status
    }
}
