/// One stream of a connection.
struct StreamDefinition: Equatable, Sendable {
    let name: String
    /// The field whose greatest value so far tells where the next sync starts; `nil` reads everything every time.
    let cursorField: String?
    /// The field that tells rows apart; without one a row is its whole text.
    let keyField: String?
}

/// What is committed of one destination file.
struct StreamPosition: Equatable, Sendable {
    /// Counts how often the file was replaced or erased.
    var generation: Int
    /// The committed bytes of the file; what is beyond them does not count.
    var length: Int

    static let empty = StreamPosition(generation: 0, length: 0)
}
