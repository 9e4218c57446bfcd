internal import JSON

/// Names one connection; ids are unique within an organization only.
struct ConnectionKey: Hashable, Sendable {
    let organization: String
    /// As in the definition, except that a UUID is in lower case.
    let id: String

    init(organization: String, id: String) {
        self.organization = organization
        self.id = id.isUUID ? id.lowercased() : id
    }
}

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

/// One stream of a connection.
struct StreamDefinition: Equatable, Sendable {
    let name: String
    /// The field whose greatest value so far tells where the next sync starts; `nil` reads everything every time.
    let cursorField: String?
    /// The field that tells rows apart; without one a row is its whole text.
    let keyField: String?
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

/// What is committed of one destination file.
struct StreamPosition: Equatable, Sendable {
    /// Counts how often the file was replaced or erased.
    var generation: Int
    /// The committed bytes of the file; what is beyond them does not count.
    var length: Int

    static let empty = StreamPosition(generation: 0, length: 0)
}

extension String {
    /// Whether this is a UUID in its usual 36 characters.
    var isUUID: Bool {
        guard utf8.count == 36 else { return false }
        for (index, byte) in utf8.enumerated() {
            switch index {
            case 8, 13, 18, 23: guard byte == UInt8(ascii: "-") else { return false }
            default:
                guard (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte | 0x20) else { return false }
            }
        }
        return true
    }
}
