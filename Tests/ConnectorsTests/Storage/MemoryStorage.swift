import Synchronization

@testable import Connectors

/// Files in memory, as long as the test lives.
final class MemoryStorage: Storage {
    let files = Mutex<[String: [UInt8]]>([:])

    func open(_ path: String, for use: FileUse) throws(StorageError) -> any StorageFile {
        let exists = files.withLock { files in
            if files[path] == nil, use == .write { files[path] = [] }
            return files[path] != nil
        }
        guard exists else { throw StorageError(operation: "open", path: path, reason: .missing) }
        return MemoryFile(storage: self, path: path)
    }

    func names(in directory: String) throws(StorageError) -> [String] {
        files.withLock { files in
            files.keys.filter { $0.hasPrefix(directory + "/") }.map { String($0.dropFirst(directory.count + 1)) }
        }
    }

    func createDirectory(_ path: String) throws(StorageError) {}

    func move(_ path: String, to target: String) throws(StorageError) {
        files.withLock { files in files[target] = files.removeValue(forKey: path) }
    }

    func remove(_ path: String) throws(StorageError) { files.withLock { $0[path] = nil } }

    func synchronize(directory: String) throws(StorageError) {}
}

private struct MemoryFile: StorageFile {
    let storage: MemoryStorage
    let path: String

    func length() throws(StorageError) -> Int { storage.files.withLock { $0[path]?.count ?? 0 } }

    func read(at offset: Int, count: Int) throws(StorageError) -> [UInt8] {
        storage.files.withLock { Array(($0[path] ?? []).dropFirst(offset).prefix(count)) }
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(StorageError) {
        storage.files.withLock { files in
            let old = files[path] ?? []
            files[path] = Array(old.prefix(offset)) + bytes + Array(old.dropFirst(offset + bytes.count))
        }
    }

    func truncate(to length: Int) throws(StorageError) {
        storage.files.withLock { $0[path] = Array(($0[path] ?? []).prefix(length)) }
    }

    func synchronize() throws(StorageError) {}
    func lock() -> Bool { true }
    func unlock() {}
}
