/// The files of the connector service, behind one door so that a test can make the n-th operation fail.
///
/// Everything blocks; nothing here may be called on a gateway event loop.
protocol Storage: Sendable {
    /// Opens `path`; `.write` creates it when it is absent.
    func open(_ path: String, for use: FileUse) throws(StorageError) -> any StorageFile
    /// The names in `directory`, or none when it is absent.
    func names(in directory: String) throws(StorageError) -> [String]
    /// Creates `path` and what is missing above it.
    func createDirectory(_ path: String) throws(StorageError)
    /// Renames `path` to `target`, which must be absent.
    func move(_ path: String, to target: String) throws(StorageError)
    /// Removes the file `path`; an absent one is fine.
    func remove(_ path: String) throws(StorageError)
    /// Makes the names of `directory` as durable as the contents of its files.
    func synchronize(directory: String) throws(StorageError)
}

/// What a file is opened for.
enum FileUse: Sendable {
    case read
    case write
}

/// One open file. It is closed when the last reference goes.
protocol StorageFile: Sendable {
    func length() throws(StorageError) -> Int
    /// Up to `count` bytes from `offset`; fewer only at the end of the file.
    func read(at offset: Int, count: Int) throws(StorageError) -> [UInt8]
    func write(_ bytes: [UInt8], at offset: Int) throws(StorageError)
    func truncate(to length: Int) throws(StorageError)
    /// Returns when everything written so far would survive a power failure.
    func synchronize() throws(StorageError)
    /// Takes the file for this process alone, or returns `false` when another one has it. Never waits.
    func lock() -> Bool
    /// Gives the file back before it is closed.
    func unlock()
}

/// What was tried on which file, and why it did not work.
struct StorageError: Error, Equatable, CustomStringConvertible {
    enum Reason: Equatable, Sendable {
        case missing
        case noSpace
        case other(String)
    }

    let operation: String
    let path: String
    let reason: Reason

    var reasonText: String {
        switch reason {
        case .missing: "No such file or directory"
        case .noSpace: "No space left on device"
        case .other(let text): text
        }
    }

    var description: String { "cannot \(operation) \(path): \(reasonText)" }
}

extension Storage {
    /// The whole file, or `nil` when it is absent.
    func contents(of path: String) throws(StorageError) -> [UInt8]? {
        let file: any StorageFile
        do { file = try open(path, for: .read) } catch {
            guard error.reason == .missing else { throw error }
            return nil
        }
        return try file.read(at: 0, count: try file.length())
    }

    /// The length of a file, or `nil` when it is absent.
    func length(of path: String) throws(StorageError) -> Int? {
        do { return try open(path, for: .read).length() } catch {
            guard error.reason == .missing else { throw error }
            return nil
        }
    }
}
