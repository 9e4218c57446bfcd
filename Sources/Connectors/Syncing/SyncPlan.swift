/// The rows that a sync of one stream has to move, and the method. Made on a work thread before anything is written.
struct SyncPlan: Sendable {
    /// How the rows reach the destination file.
    enum Method: Equatable, Sendable {
        /// After the committed rows, with checkpoints between them.
        case append
        /// In a new file with the new rows and those that stay; it is committed as a whole or not at all.
        case replace(keepsOthers: Bool)
    }

    let rows: [SourceRow]
    let method: Method

    /// Reads the source, and the destination if it may have some of the rows already: those are replaced, not doubled.
    static func find(
        _ stream: StreamDefinition, after cursor: CursorValue?, at position: StreamPosition, replacesAll: Bool,
        source: FolderSource, destination: FileDestination
    ) throws(JobFailure) -> SyncPlan {
        do throws(JobFailure) {
            // Repairs the file if an earlier run could not.
            try destination.reconcile(stream.name, with: position)
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

/// A destination file that will replace the committed one, and the counters after that.
struct Replacement: Sendable {
    var position: StreamPosition
    var counters: Job.Counters

    /// Starts the file with the committed rows that stay, and counts the rows that the new ones replace or delete.
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
