/// One part of a change. Each record *sets* something, so it does no harm to replay a record twice, and a snapshot is a
/// list of the records that set the whole state.
enum JournalRecord: Equatable, Sendable {
    /// A job as it is now. The first one of a job begins it.
    case job(Job)
    /// The service has accepted the cancellation of a job.
    case cancel(job: String, at: Timestamp)
    /// How much of a stream's destination file is valid.
    case position(ConnectionKey, stream: String, StreamPosition)
    /// All cursors of a connection.
    case cursors(ConnectionKey, CursorState)
}

extension JournalRecord {
    /// `nil` where the record does not name it.
    var organization: String? {
        switch self {
        case .job(let job): job.connection.organization
        case .cancel: nil
        case .position(let key, _, _), .cursors(let key, _): key.organization
        }
    }

    func encode(into writer: inout RecordWriter) {
        switch self {
        case .job(let job):
            writer.byte(1)
            job.encode(into: &writer)
        case .cancel(let job, let time):
            writer.byte(2)
            writer.string(job)
            writer.time(time)
        case .position(let key, let stream, let position):
            writer.byte(3)
            writer.key(key)
            writer.string(stream)
            writer.integer(position.generation)
            writer.integer(position.length)
        case .cursors(let key, let state):
            writer.byte(4)
            writer.key(key)
            writer.string(state.kind.rawValue)
            writer.integer(state.members.count)
            for member in state.members {
                writer.string(member.name)
                writer.data(member.json)
            }
        }
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        switch try reader.byte() {
        case 1: self = .job(try Job(from: &reader))
        case 2: self = .cancel(job: try reader.string(), at: try reader.time())
        case 3:
            self = .position(
                try reader.key(), stream: try reader.string(),
                StreamPosition(generation: try reader.integer(), length: try reader.integer()))
        case 4:
            let key = try reader.key()
            guard let kind = CursorState.Kind(rawValue: try reader.string()) else { throw RecordError() }
            var state = CursorState(kind: kind, members: [])
            for _ in 0..<max(0, try reader.integer()) {
                state.members.append(.init(name: try reader.string(), json: Array(try reader.data())))
            }
            self = .cursors(key, state)
        default: throw RecordError()
        }
    }

    /// Reads all records of one frame.
    static func decodeAll(_ payload: ArraySlice<UInt8>) throws(RecordError) -> [JournalRecord] {
        var reader = RecordReader(payload)
        var records: [JournalRecord] = []
        while !reader.isAtEnd { records.append(try JournalRecord(from: &reader)) }
        return records
    }
}
