/// The names of the journal's files.
///
/// Generation N is `snapshot-N`, the state at its beginning, and `journal-N`, what happened since. Generation 1 begins
/// with nothing and has no snapshot. A snapshot gets its name only when it is complete and its journal exists, so
/// the highest snapshot is always a place to start from.
struct JournalFiles {
    let directory: String

    func journal(_ generation: Int) -> String { "\(directory)/journal-\(generation)" }

    func snapshot(_ generation: Int) -> String { "\(directory)/snapshot-\(generation)" }

    func unfinishedSnapshot(_ generation: Int) -> String { snapshot(generation) + ".tmp" }

    /// The generation in `journal-7`, if `name` is one.
    static func generation(of name: String, _ kind: String) -> Int? {
        guard name.hasPrefix(kind + "-") else { return nil }
        return Int(name.dropFirst(kind.count + 1))
    }
}

/// The state directory cannot be used; the service does not start.
struct JournalRefusal: Error, Equatable, CustomStringConvertible {
    let description: String
}
