internal import JSON

/// A destination: a folder with one NDJSON file per stream.
///
/// The journal decides how many bytes of a file are committed (``StreamPosition``); every write first cuts off the
/// others. So the next write after a crash, or ``reconcile(_:with:)`` at the next start, repairs the file.
struct FileDestination: Sendable {
    let folder: String
    let storage: any Storage

    func path(of stream: String) -> String { "\(folder)/\(stream).ndjson" }

    /// The name of a replacement until the journal records its generation.
    func replacementPath(of stream: String, generation: Int) -> String { "\(path(of: stream)).\(generation).next" }

    /// Writes `lines` after the committed bytes, durably. Returns the position that commits them once it is recorded.
    func append(
        _ lines: [UInt8], to stream: String, at position: StreamPosition
    ) throws(JobFailure) -> StreamPosition {
        do {
            try storage.createDirectory(folder)
            let isNew = try storage.length(of: path(of: stream)) == nil
            let file = try openCut(stream, at: position)
            try file.write(lines, at: position.length)
            try file.synchronize()
            if isNew { try storage.synchronize(directory: folder) }
        } catch { throw failure(stream, error) }
        return StreamPosition(generation: position.generation, length: position.length + lines.count)
    }

    /// Makes the file agree with `position`: finishes a replacement that is committed, removes one that is not, and
    /// cuts the file at its committed length.
    func reconcile(_ stream: String, with position: StreamPosition) throws(JobFailure) {
        do {
            let prefix = "\(stream).ndjson."
            for name in try storage.names(in: folder) where name.hasPrefix(prefix) && name.hasSuffix(".next") {
                guard name == "\(prefix)\(position.generation).next" else {
                    try storage.remove("\(folder)/\(name)")
                    continue
                }
                // This order is safe: until the replacement has the file's name, the next call does the same again.
                try storage.remove(path(of: stream))
                try storage.move("\(folder)/\(name)", to: path(of: stream))
                try storage.synchronize(directory: folder)
            }
            guard let length = try storage.length(of: path(of: stream)), length > position.length else { return }
            let file = try storage.open(path(of: stream), for: .write)
            try file.truncate(to: position.length)
            try file.synchronize()
        } catch { throw failure(stream, error) }
    }

    private func openCut(_ stream: String, at position: StreamPosition) throws -> any StorageFile {
        let file = try storage.open(path(of: stream), for: .write)
        let length = try file.length()
        guard length >= position.length else { throw isShort(length, position) }
        if length > position.length { try file.truncate(to: position.length) }
        return file
    }

    private func isShort(_ length: Int, _ position: StreamPosition) -> JobFailure {
        JobFailure(
            "it has \(length) bytes, but \(position.length) were committed; somebody changed it: "
                + "refresh the stream with remove_records, or clear it")
    }

    fileprivate func failure(_ stream: String, _ error: any Error) -> JobFailure {
        let reason = (error as? StorageError)?.reasonText ?? "\(error)"
        return JobFailure("destination file \(stream).ndjson: \(reason)")
    }
}

extension FileDestination {
    /// Calls `visit` with the line and the key of each committed row of `stream`.
    func forEachRow(
        of stream: StreamDefinition, at position: StreamPosition,
        _ visit: (_ line: ArraySlice<UInt8>, _ key: String) throws -> Void
    ) throws(JobFailure) {
        guard position.length > 0 else { return }
        do {
            let file = try storage.open(path(of: stream.name), for: .read)
            let length = try file.length()
            guard length >= position.length else { throw isShort(length, position) }
            var scanner = try RecordScanner(file, upTo: position.length, honoursQuotes: false)
            while let record = try scanner.record() {
                guard stream.keyField != nil else {
                    try visit(record.bytes, String(decoding: record.bytes, as: UTF8.self))
                    continue
                }
                let row = try RowIdentity.object(record.bytes)
                try visit(record.bytes, try RowIdentity.key(of: record.bytes, row: row, field: stream.keyField))
            }
        } catch { throw failure(stream.name, error) }
    }

    /// Starts the file that will replace the one at `position`, with the committed rows that `keeps` selects.
    func beginReplacement(
        of stream: StreamDefinition, at position: StreamPosition, keeps: (_ key: String) -> Bool
    ) throws(JobFailure) -> StreamPosition {
        let generation = position.generation + 1
        do {
            try storage.createDirectory(folder)
            let file = try storage.open(replacementPath(of: stream.name, generation: generation), for: .write)
            try file.truncate(to: 0)
            var (length, piece): (Int, [UInt8]) = (0, [])
            try forEachRow(of: stream, at: position) { line, key in
                guard keeps(key) else { return }
                piece += line
                piece.append(UInt8(ascii: "\n"))
                guard piece.count > 1 << 20 else { return }
                try file.write(piece, at: length)
                length += piece.count
                piece.removeAll(keepingCapacity: true)
            }
            try file.write(piece, at: length)
            return StreamPosition(generation: generation, length: length + piece.count)
        } catch let failure as JobFailure { throw failure } catch { throw failure(stream.name, error) }
    }

    /// Appends `lines` to the replacement; they are not durable yet.
    func extendReplacement(
        of stream: String, at replacement: StreamPosition, with lines: [UInt8]
    ) throws(JobFailure) -> StreamPosition {
        do {
            let path = replacementPath(of: stream, generation: replacement.generation)
            try storage.open(path, for: .write).write(lines, at: replacement.length)
        } catch { throw failure(stream, error) }
        return StreamPosition(generation: replacement.generation, length: replacement.length + lines.count)
    }

    /// Makes the replacement durable. It is committed when the journal records it; then ``reconcile(_:with:)`` renames it.
    func finishReplacement(of stream: String, at replacement: StreamPosition) throws(JobFailure) {
        do {
            let file = try storage.open(replacementPath(of: stream, generation: replacement.generation), for: .write)
            try file.truncate(to: replacement.length)
            try file.synchronize()
            try storage.synchronize(directory: folder)
        } catch { throw failure(stream, error) }
    }
}
