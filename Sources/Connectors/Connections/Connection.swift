internal import JSON

/// A source joined to a destination, as `connectors.json5` defines it.
///
/// A class, because it never changes and every request passes it on.
final class ConnectionDefinition: Sendable {
    /// The API to which the connection belongs; it decides how the ids of its jobs and its responses look.
    enum Family: String, Sendable, CaseIterable {
        case aitronos
        case airweave
    }

    let key: ConnectionKey
    let name: String
    let family: Family
    let source: FolderSource
    /// The folder of the destination files, as an absolute path.
    let destinationFolder: String
    let streams: [StreamDefinition]
    let pace: Pace

    init(
        key: ConnectionKey, name: String, family: Family, source: FolderSource, destinationFolder: String,
        streams: [StreamDefinition], pace: Pace
    ) {
        self.key = key
        self.name = name
        self.family = family
        self.source = source
        self.destinationFolder = destinationFolder
        self.streams = streams
        self.pace = pace
    }

    func stream(_ name: String) -> StreamDefinition? { streams.first { $0.name.hasSameBytes(as: name) } }
}

/// The speed of a sync. A slow one makes a small source look like a large one.
struct Pace: Equatable, Sendable {
    /// `nil` means as fast as the disk.
    var rowsPerSecond: Int?
    /// The minimum duration of a job.
    var minimumMilliseconds: Int64

    static let unpaced = Pace(rowsPerSecond: nil, minimumMilliseconds: 0)

    /// How long after the job's start its first `rows` rows may be done, in milliseconds.
    func elapsedMilliseconds(forRows rows: Int) -> Int64 {
        guard let rowsPerSecond else { return 0 }
        return Int64(rows) * 1000 / Int64(max(1, rowsPerSecond))
    }
}
