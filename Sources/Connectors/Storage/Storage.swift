/// The files of the connector service, behind a protocol so that a test can make the n-th operation fail.
///
/// All methods block; no event loop of the gateway may call them.
protocol Storage: Sendable {
    /// Opens `path`; `.write` creates it when it is absent.
    func open(_ path: String, for use: FileUse) throws(StorageError) -> any StorageFile
    /// The names in `directory`; none if the directory is absent.
    func names(in directory: String) throws(StorageError) -> [String]
    /// Creates `path` and its missing parents.
    func createDirectory(_ path: String) throws(StorageError)
    /// Renames `path` to `target`, which must be absent.
    func move(_ path: String, to target: String) throws(StorageError)
    /// Removes the file `path`; an absent file is no error.
    func remove(_ path: String) throws(StorageError)
    /// Makes the names in `directory` durable, as ``StorageFile/synchronize()`` makes the contents of a file durable.
    func synchronize(directory: String) throws(StorageError)
}

/// The use of an open file.
enum FileUse: Sendable {
    case read
    case write
}

/// One open file; the last reference closes it.
protocol StorageFile: Sendable {
    func length() throws(StorageError) -> Int
    /// Up to `count` bytes from `offset`; fewer only at the end of the file.
    func read(at offset: Int, count: Int) throws(StorageError) -> [UInt8]
    func write(_ bytes: [UInt8], at offset: Int) throws(StorageError)
    func truncate(to length: Int) throws(StorageError)
    /// Returns when everything written so far would survive a power failure.
    func synchronize() throws(StorageError)
    /// Locks the file for this process, or returns `false` if another one has locked it. Never waits.
    func lock() -> Bool
    /// Unlocks the file before it is closed.
    func unlock()
}

/// A failed operation on a file, and the reason.
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
    /// The whole file; `nil` if it is absent.
    func contents(of path: String) throws(StorageError) -> [UInt8]? {
        let file: any StorageFile
        do { file = try open(path, for: .read) } catch {
            guard error.reason == .missing else { throw error }
            return nil
        }
        return try file.read(at: 0, count: try file.length())
    }

    /// The length of a file; `nil` if it is absent.
    func length(of path: String) throws(StorageError) -> Int? {
        do { return try open(path, for: .read).length() } catch {
            guard error.reason == .missing else { throw error }
            return nil
        }
    }
}
