internal import Journal

/// Records that become durable together or not at all.
///
/// Whoever makes a change also encodes it: the journal's thread has less to do, and how long the change is, is known before it
/// is queued.
struct JournalChange: Sendable {
    /// A longer change is refused. Several changes go into one frame, so that one of them is far from filling it.
    static let maxBytes = JournalFrame.limit / 2

    /// Most changes are shorter, so that they are encoded without a second allocation.
    private static let usualBytes = 320

    let records: [JournalRecord]
    /// The records as they stand in the file.
    let payload: [UInt8]
    /// The organization that made the change.
    let organization: String?

    /// Without `organization`, it is that of the first record. The record of a cancellation names none.
    init(_ records: [JournalRecord], organization: String? = nil) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.usualBytes)
        var writer = RecordWriter(into: bytes)
        for record in records { record.encode(into: &writer) }
        self.records = records
        payload = writer.bytes
        self.organization = organization ?? records.first?.organization
    }
}
