/// One stream of a connection.
struct StreamDefinition: Equatable, Sendable {
    let name: String
    /// The next sync starts after the greatest value of this field so far; with `nil` each sync reads everything.
    let cursorField: String?
    /// The field that distinguishes rows; without one, rows are compared as a whole.
    let keyField: String?
}

/// The committed part of one destination file.
struct StreamPosition: Equatable, Sendable {
    /// Counts how often the file was replaced or erased.
    var generation: Int
    /// The committed bytes of the file; those after them do not count.
    var length: Int

    static let empty = StreamPosition(generation: 0, length: 0)
}
