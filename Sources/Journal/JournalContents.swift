package import Transport

/// What a journal of one file remembers.
package struct JournalContents {
    /// What is in the frames, in the order they were written.
    package let records: [ArraySlice<UInt8>]
    /// Bytes between the records that are none: damage.
    package let damagedBytes: Int
    /// Bytes behind the last record: what a crash left of the last write.
    package let tornBytes: Int

    /// Reads the file `name`; `nil` when there is none.
    package static func read(_ name: String, from disk: any JournalStorage) throws(JournalError) -> JournalContents? {
        let file: [UInt8]?
        do { file = try disk.contents(of: name) } catch { throw .disk(error) }
        guard let file else { return nil }
        // It was durable before the file got its name, so no crash has cut it off.
        guard let header = JournalHeader(file) else { throw .noHeader(name: name) }
        let found = JournalFrame.all(in: file, salt: header.salt)
        return JournalContents(
            records: found.payloads.map { file[$0] }, damagedBytes: found.damagedBytes, tornBytes: found.tornBytes)
    }
}

/// Why nobody knows what a journal remembers.
package enum JournalError: Error, Equatable, CustomStringConvertible {
    /// The disk does not give the file.
    case disk(SystemError)
    /// The file is of another version, or its first bytes are damaged.
    case noHeader(name: String)

    package var description: String {
        switch self {
        case .disk(let error): "\(error)"
        case .noHeader(let name): "\(name) does not begin as a journal of this version does"
        }
    }
}
