internal import Foundation
internal import Glibc

/// ``Storage`` on the file system of this machine.
struct DiskStorage: Storage {
    func open(_ path: String, for use: FileUse) throws(StorageError) -> any StorageFile {
        switch use {
        case .read:
            return try DiskFile(path, "open") { try FileHandle(forReadingFrom: URL(fileURLWithPath: path)) }
        case .write:
            if !FileManager.default.fileExists(atPath: path) {
                guard
                    FileManager.default.createFile(
                        atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
                else { throw StorageError(operation: "create", path: path, reason: .other(whyNoFile(at: path))) }
            }
            return try DiskFile(path, "open") { try FileHandle(forUpdating: URL(fileURLWithPath: path)) }
        }
    }

    func names(in directory: String) throws(StorageError) -> [String] {
        do {
            return try attempt("list", directory) { try FileManager.default.contentsOfDirectory(atPath: directory) }
                .sorted()
        } catch {
            guard error.reason == .missing else { throw error }
            return []
        }
    }

    func createDirectory(_ path: String) throws(StorageError) {
        guard !FileManager.default.fileExists(atPath: path) else { return }
        let parent = (path as NSString).deletingLastPathComponent
        if !parent.isEmpty { try createDirectory(parent) }
        try attempt("create the directory", path) {
            // With intermediate directories: then it is no error if another process creates the directory at this
            // moment.
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        }
        // A file survives a crash only if the entry of its directory in the parent directory does.
        if !parent.isEmpty { try synchronize(directory: parent) }
    }

    func move(_ path: String, to target: String) throws(StorageError) {
        try attempt("rename", path) { try FileManager.default.moveItem(atPath: path, toPath: target) }
    }

    func remove(_ path: String) throws(StorageError) {
        do { try attempt("remove", path) { try FileManager.default.removeItem(atPath: path) } } catch {
            guard error.reason == .missing else { throw error }
        }
    }

    func synchronize(directory: String) throws(StorageError) {
        // A directory can be opened for reading, and fsync needs no more.
        try open(directory, for: .read).synchronize()
    }

    private func whyNoFile(at path: String) -> String {
        let folder = (path as NSString).deletingLastPathComponent
        return FileManager.default.isWritableFile(atPath: folder)
            ? "No space left on device, or too many open files" : "\(folder) is absent or not writable"
    }
}

/// An open file descriptor, owned by a `FileHandle`.
private struct DiskFile: StorageFile {
    private let path: String
    private let handle: FileHandle

    init(_ path: String, _ operation: String, _ open: () throws -> FileHandle) throws(StorageError) {
        self.path = path
        handle = try attempt(operation, path, open)
    }

    func length() throws(StorageError) -> Int {
        try attempt("measure", path) { Int(try handle.seekToEnd()) }
    }

    func read(at offset: Int, count: Int) throws(StorageError) -> [UInt8] {
        guard count > 0 else { return [] }
        return try attempt("read", path) {
            try handle.seek(toOffset: UInt64(offset))
            var bytes: [UInt8] = []
            bytes.reserveCapacity(count)
            while bytes.count < count, let part = try handle.read(upToCount: count - bytes.count), !part.isEmpty {
                bytes.append(contentsOf: part)
            }
            return bytes
        }
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(StorageError) {
        guard !bytes.isEmpty else { return }
        try attempt("write", path) {
            try handle.seek(toOffset: UInt64(offset))
            try handle.write(contentsOf: bytes)
        }
    }

    func truncate(to length: Int) throws(StorageError) {
        try attempt("truncate", path) { try handle.truncate(atOffset: UInt64(length)) }
    }

    func synchronize() throws(StorageError) {
        guard fsync(handle.fileDescriptor) == 0 else {
            let reason: StorageError.Reason = errno == ENOSPC ? .noSpace : .other("fsync failed with errno \(errno)")
            throw StorageError(operation: "synchronize", path: path, reason: reason)
        }
    }

    func lock() -> Bool { flock(handle.fileDescriptor, LOCK_EX | LOCK_NB) == 0 }

    func unlock() { _ = flock(handle.fileDescriptor, LOCK_UN) }
}

/// Converts Foundation's errors into a ``StorageError``.
private func attempt<Value>(
    _ operation: String, _ path: String, _ body: () throws -> Value
) throws(StorageError) -> Value {
    do { return try body() } catch {
        let top = error as NSError
        let cause = top.userInfo[NSUnderlyingErrorKey] as? NSError ?? top
        let reason: StorageError.Reason =
            switch (cause.domain, Int32(truncatingIfNeeded: cause.code)) {
            case (NSPOSIXErrorDomain, ENOENT): .missing
            case (NSPOSIXErrorDomain, ENOSPC): .noSpace
            case (NSPOSIXErrorDomain, _): .other(cause.localizedDescription)
            default:
                [CocoaError.fileReadNoSuchFile.rawValue, CocoaError.fileNoSuchFile.rawValue].contains(top.code)
                    ? .missing : .other(cause.localizedDescription)
            }
        throw StorageError(operation: operation, path: path, reason: reason)
    }
}
