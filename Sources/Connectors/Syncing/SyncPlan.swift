/// What a sync of one stream has to move, and how: found out on a work thread before anything is written.
struct SyncPlan: Sendable {
    /// How the rows get into the destination file.
    enum Method: Equatable, Sendable {
        /// Behind the committed rows, with checkpoints on the way.
        case append
        /// By a new file with the rows that stay and the new ones, which counts as a whole or not at all.
        case replace(keepsOthers: Bool)
    }

    let rows: [SourceRow]
    let method: Method

    /// Reads the source, and the destination where rows might be there already: those are replaced, not doubled.
    static func find(
        _ stream: StreamDefinition, after cursor: CursorValue?, at position: StreamPosition, replacesAll: Bool,
        source: FolderSource, destination: FileDestination
    ) throws(JobFailure) -> SyncPlan {
        do throws(JobFailure) {
            // What an earlier run could not put right, this one does before it looks.
            try destination.settle(stream.name, at: position)
            let rows = try source.rows(of: stream, after: cursor, storage: destination.storage)
            guard !replacesAll else { return SyncPlan(rows: rows, method: .replace(keepsOthers: false)) }
            guard !rows.isEmpty, position.length > 0 else { return SyncPlan(rows: rows, method: .append) }
            let keys = Set(rows.map(\.key))
            var isKnown = false
            try destination.forEachRow(of: stream, at: position) { _, key in
                isKnown = isKnown || keys.contains(key)
            }
            return SyncPlan(rows: rows, method: isKnown ? .replace(keepsOthers: true) : .append)
        } catch { throw JobFailure("stream \"\(stream.name)\": \(error)") }
    }
}

/// A destination file that will replace the committed one, and what that does to the rows.
struct Replacement: Sendable {
    var position: StreamPosition
    var counters: Job.Counters

    /// Starts the file with those committed rows that stay, and counts what the new ones do to the others.
    static func begin(
        _ stream: StreamDefinition, with rows: [SourceRow], keepsOthers: Bool, at position: StreamPosition,
        destination: FileDestination, counters: Job.Counters
    ) throws(JobFailure) -> Replacement {
        let keys = Set(rows.map(\.key))
        var known = Set<String>()
        var gone = 0
        let next = try destination.beginReplacement(of: stream, at: position) { key in
            if keys.contains(key) {
                known.insert(key)
                return false
            }
            gone += 1
            return keepsOthers
        }
        var result = Replacement(position: next, counters: counters)
        result.counters.updated += known.count
        result.counters.inserted += rows.count - known.count
        if !keepsOthers { result.counters.deleted += gone }
        return result
    }
}
