/// Splits a file into records at its line ends; reads it in pieces.
struct RecordScanner {
    /// One record without its line end.
    struct Record {
        let offset: Int
        let bytes: ArraySlice<UInt8>
        /// `false` for a last record without a line end: its writer may not have finished it.
        let isTerminated: Bool
    }

    private static let pieceBytes = 256 << 10
    /// The maximum length of a record, because it is in memory whole.
    static let maxRecord = 16 << 20

    private let file: any StorageFile
    private let end: Int
    /// Whether a line end inside double quotes belongs to the record, as in CSV.
    private let honoursQuotes: Bool
    private var buffer: [UInt8] = []
    private var bufferOffset = 0
    private var next = 0

    init(_ file: any StorageFile, upTo end: Int? = nil, honoursQuotes: Bool) throws(StorageError) {
        self.file = file
        let length = try file.length()
        self.end = min(end ?? length, length)
        self.honoursQuotes = honoursQuotes
    }

    /// The next record, or `nil` at the end.
    mutating func record() throws(JobFailure) -> Record? {
        var searched = next
        var isQuoted = false
        while true {
            if let lineFeed = lineFeed(from: &searched, isQuoted: &isQuoted) {
                defer { next = lineFeed + 1 }
                let hasReturn = lineFeed > next && buffer[lineFeed - 1] == UInt8(ascii: "\r")
                return Record(
                    offset: bufferOffset + next, bytes: buffer[next..<(hasReturn ? lineFeed - 1 : lineFeed)],
                    isTerminated: true)
            }
            guard bufferOffset + buffer.count < end else {
                guard next < buffer.count else { return nil }
                defer { next = buffer.count }
                return Record(offset: bufferOffset + next, bytes: buffer[next...], isTerminated: false)
            }
            guard buffer.count - next < Self.maxRecord else {
                throw JobFailure("a record is longer than \(Self.maxRecord) bytes")
            }
            searched -= next
            try fill()
        }
    }

    private func lineFeed(from searched: inout Int, isQuoted: inout Bool) -> Int? {
        let bytes = buffer.span
        while searched < bytes.count {
            let byte = bytes[searched]
            if byte == UInt8(ascii: "\""), honoursQuotes { isQuoted = isQuoted ? false : opensQuote(bytes, searched) }
            if byte == UInt8(ascii: "\n"), !isQuoted { return searched }
            searched += 1
        }
        return nil
    }

    /// A quote opens a field at its start. A quote right after another one opens the field again.
    private func opensQuote(_ bytes: Span<UInt8>, _ index: Int) -> Bool {
        index == next || bytes[index - 1] == UInt8(ascii: ",") || bytes[index - 1] == UInt8(ascii: "\"")
    }

    private mutating func fill() throws(JobFailure) {
        buffer.removeFirst(next)
        bufferOffset += next
        next = 0
        let from = bufferOffset + buffer.count
        do {
            let piece = try file.read(at: from, count: min(Self.pieceBytes, end - from))
            guard !piece.isEmpty else { throw JobFailure("the file became shorter while it was read") }
            buffer += piece
        } catch let failure as JobFailure { throw failure } catch { throw JobFailure("\(error)") }
    }
}

/// Why a job failed, in words for the reader of the job.
struct JobFailure: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
