internal import Journal

/// The journal's files, and their folder.
///
/// Generation N consists of `snapshot-N`, the state at its beginning, and `journal-N`, the changes since then. Generation
/// 1 has no snapshot. A snapshot gets its name only when it is complete and its journal exists. So recovery can always
/// start from the highest snapshot.
///
/// The lease journal is one file instead, and compaction rewrites it. Here one file is not enough. The cursors are known
/// nowhere else, so a start on a damaged state must be refused. But in a file whose end may be torn, a missing part of
/// the snapshot looks like a torn write.
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

/// The reason why the service does not start on its state directory.
struct JournalRefusal: Error, Equatable, CustomStringConvertible {
    let description: String
}
