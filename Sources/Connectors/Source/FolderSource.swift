internal import Bytes
internal import JSON

/// A source: a folder with one file per stream, `users.ndjson` or `users.csv`.
struct FolderSource: Equatable, Sendable {
    /// The format of the rows.
    enum Format: String, Sendable, CaseIterable {
        case ndjson
        case csv
    }

    /// The maximum of rows in one job: a ``SourceRow`` of each stays in memory until it is synced.
    static let maxRows = 1_000_000

    let folder: String
    let format: Format

    /// The rows of `stream` to sync, in order, each key once.
    ///
    /// With a cursor field: the rows after `cursor`, ordered by cursor; of several rows with one key, the last.
    /// Without: all rows, in the order of the file. A source must not add rows at or before a cursor value that it has
    /// shown already.
    func rows(
        of stream: StreamDefinition, after cursor: CursorValue?, storage: any Storage
    ) throws(JobFailure) -> [SourceRow] {
        let rows: [SourceRow]
        do { rows = try scan(stream, after: cursor, storage) } catch let error as StorageError {
            throw JobFailure("source file \(fileName(of: stream)): \(error.reasonText)")
        } catch { throw JobFailure("source file \(fileName(of: stream)): \(error)") }
        return arrange(rows, stream)
    }

    private func scan(
        _ stream: StreamDefinition, after cursor: CursorValue?, _ storage: any Storage
    ) throws -> [SourceRow] {
        let file = try storage.open("\(folder)/\(fileName(of: stream))", for: .read)
        var scanner = try RecordScanner(file, honoursQuotes: format == .csv)
        var rows: [SourceRow] = []
        var number = 0
        var header: [String]?
        while let record = try scanner.record() {
            number += 1
            guard !record.bytes.isEmpty else { continue }
            if format == .csv, header == nil {
                guard let names = CSVRecord.fields(of: record.bytes) else { throw JobFailure("the header is no CSV") }
                header = names
                continue
            }
            switch row(record, header: header, stream: stream) {
            case .success(let row):
                if let cursor, let value = row.cursor, value <= cursor { continue }
                rows.append(row)
            case .failure(let failure):
                // A last record without a line end may be unfinished: the next sync reads it. If it contains a line
                // end, an open quote has swallowed the lines after it.
                guard !record.isTerminated, !record.bytes.contains(UInt8(ascii: "\n")) else {
                    throw JobFailure("record \(number): \(failure)")
                }
            }
            guard rows.count <= Self.maxRows else { throw JobFailure("there are more than \(Self.maxRows) rows") }
        }
        return rows
    }

    private func arrange(_ rows: [SourceRow], _ stream: StreamDefinition) -> [SourceRow] {
        var rows = rows
        if stream.cursorField != nil {
            let isOrdered = zip(rows, rows.dropFirst()).allSatisfy { Self.precedes($0, $1) }
            if !isOrdered { rows.sort(by: Self.precedes) }
        } else if stream.keyField == nil {
            return rows
        }
        var seen = Set<String>(minimumCapacity: rows.count)
        var last: [SourceRow] = []
        last.reserveCapacity(rows.count)
        for row in rows.reversed() where seen.insert(row.key).inserted { last.append(row) }
        last.reverse()
        return last
    }

    private static func precedes(_ left: SourceRow, _ right: SourceRow) -> Bool {
        guard let first = left.cursor, let second = right.cursor, first != second else {
            return left.offset < right.offset
        }
        return first < second
    }

    private func row(
        _ record: RecordScanner.Record, header: [String]?, stream: StreamDefinition
    ) -> Result<SourceRow, JobFailure> {
        Result { () throws(JobFailure) in
            let json = try json(record.bytes, header: header)
            let object = try RowIdentity.object(json)
            return SourceRow(
                offset: record.offset, length: record.bytes.count, checksum: Self.checksum(record.bytes),
                cursor: try RowIdentity.cursor(of: object, field: stream.cursorField),
                key: try RowIdentity.key(of: json, row: object, field: stream.keyField))
        }
    }

    private func json(_ record: ArraySlice<UInt8>, header: [String]?) throws(JobFailure) -> ArraySlice<UInt8> {
        guard let header else { return record }
        guard let fields = CSVRecord.fields(of: record) else { throw JobFailure("a quote stands where it may not") }
        guard fields.count == header.count else {
            throw JobFailure("there are \(fields.count) fields, the header has \(header.count)")
        }
        return CSVRecord.json(names: header, fields: fields)[...]
    }

    private func fileName(of stream: StreamDefinition) -> String { "\(stream.name).\(format.rawValue)" }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        CRC32C.checksum(of: bytes.span)
    }
}

extension FolderSource {
    /// Reads `rows` again, as lines of NDJSON.
    func lines(
        of rows: ArraySlice<SourceRow>, in stream: StreamDefinition, storage: any Storage
    ) throws(JobFailure) -> [UInt8] {
        let name = fileName(of: stream)
        do {
            let file = try storage.open("\(folder)/\(name)", for: .read)
            var header: [String]?
            if format == .csv {
                var scanner = try RecordScanner(file, honoursQuotes: true)
                header = try scanner.record().flatMap { CSVRecord.fields(of: $0.bytes) }
            }
            var lines: [UInt8] = []
            var block: (offset: Int, bytes: [UInt8]) = (0, [])
            for (index, row) in zip(rows.indices, rows) {
                if row.offset < block.offset || row.offset + row.length > block.offset + block.bytes.count {
                    block = (row.offset, try file.read(at: row.offset, count: Self.blockLength(rows[index...])))
                }
                let start = row.offset - block.offset
                guard start + row.length <= block.bytes.count,
                    Self.checksum(block.bytes[start..<start + row.length]) == row.checksum
                else { throw JobFailure("the file changed while it was read") }
                lines += try json(block.bytes[start..<start + row.length], header: header)
                lines.append(UInt8(ascii: "\n"))
            }
            return lines
        } catch let error as StorageError {
            throw JobFailure("source file \(name): \(error.reasonText)")
        } catch { throw JobFailure("source file \(name): \(error)") }
    }

    /// How much to read at once for the first of `rows`: as far as the rows are close together in the file.
    private static func blockLength(_ rows: ArraySlice<SourceRow>) -> Int {
        guard let first = rows.first else { return 0 }
        var end = first.offset + first.length
        for row in rows.dropFirst() {
            guard row.offset >= end, row.offset - end < 4096, end - first.offset < 1 << 20 else { break }
            end = row.offset + row.length
        }
        return end - first.offset
    }
}
