internal import Journal

/// The journal's files, and the folder that holds them.
///
/// Generation N is `snapshot-N`, the state at its beginning, and `journal-N`, what happened since. Generation 1 begins
/// with nothing and has no snapshot. A snapshot gets its name only when it is complete and its journal exists, so
/// the highest snapshot is always a place to start from.
///
/// Leases have one file, which is written anew where this has a generation. Here that is not enough: nobody else knows the
/// cursors, so that a start on a damaged state must be refused, and a file that may be torn at its end cannot tell a missing part of
/// its snapshot from a torn write.
struct JournalFiles: Sendable {
    /// The path of the folder, for messages.
    let folder: String
    let disk: any JournalStorage

    static func journal(_ generation: Int) -> String { "journal-\(generation)" }

    static func snapshot(_ generation: Int) -> String { "snapshot-\(generation)" }

    static func unfinishedSnapshot(_ generation: Int) -> String { snapshot(generation) + ".tmp" }

    /// The generation in `journal-7`, if `name` is one.
    static func generation(of name: String, _ kind: String) -> Int? {
        guard name.hasPrefix(kind + "-") else { return nil }
        return Int(name.dropFirst(kind.count + 1))
    }

    func path(_ name: String) -> String { "\(folder)/\(name)" }
}

/// The state directory cannot be used; the service does not start.
struct JournalRefusal: Error, Equatable, CustomStringConvertible {
    let description: String
}
