internal import JSON

/// A source joined to a destination, as `connectors.json5` defines it.
///
/// A class, as it never changes and is passed around with every request.
final class ConnectionDefinition: Sendable {
    /// Which API the connection belongs to; it decides how its jobs are named and shown.
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

/// How fast a sync goes, so that a small source can be watched as if it were a large one.
struct Pace: Equatable, Sendable {
    /// `nil` is as fast as the disk.
    var rowsPerSecond: Int?
    /// A job does not end sooner.
    var minimumMilliseconds: Int64

    static let unpaced = Pace(rowsPerSecond: nil, minimumMilliseconds: 0)

    /// When, after the job's start, its first `rows` rows may be done.
    func elapsedMilliseconds(forRows rows: Int) -> Int64 {
        guard let rowsPerSecond else { return 0 }
        return Int64(rows) * 1000 / Int64(max(1, rowsPerSecond))
    }
}
