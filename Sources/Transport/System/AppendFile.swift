internal import Glibc

/// A file to which bytes are only appended. The calls block, so they belong on a separate thread.
package final class AppendFile: Sendable {
    private let descriptor: Int32

    /// Creates the file, or empties an existing one. Only its owner can read a new file.
    package init(emptying path: String) throws(SystemError) {
        // SAFETY: `open` reads a C string that lives as long as the call.
        descriptor = try syscall("open \(path)") {
            unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o600)
        }
    }

    /// Opens an existing file to append to it.
    package init(continuing path: String) throws(SystemError) {
        // SAFETY: `open` reads a C string that lives as long as the call.
        descriptor = try syscall("open \(path)") { unsafe open(path, O_WRONLY | O_APPEND | O_CLOEXEC) }
    }

    deinit { close(descriptor) }

    /// Appends all of `bytes`. After an error it is unknown how many of them were written.
    package func append(_ bytes: Span<UInt8>) throws(SystemError) {
        var written = 0
        while written < bytes.count {
            let rest = bytes.extracting(written..<bytes.count)
            // SAFETY: the kernel reads at most `count` bytes of the span, which outlives the call. The limit keeps the
            // result within an Int32.
            let count = try syscall("write") {
                unsafe rest.withUnsafeBytes { unsafe Int32(write(descriptor, $0.baseAddress, min($0.count, 1 << 30))) }
            }
            guard count > 0 else { throw SystemError("write", number: ENOSPC) }
            written += Int(count)
        }
    }

    /// Cuts the file to its first `length` bytes.
    package func truncate(to length: Int) throws(SystemError) {
        _ = try syscall("ftruncate") { ftruncate(descriptor, length) }
    }

    /// Returns when all bytes written so far would survive a loss of power, if the disk keeps its guarantees.
    package func synchronize() throws(SystemError) {
        _ = try syscall("fdatasync") { fdatasync(descriptor) }
    }
}

/// Operations on files and folders. They block.
package enum FileSystem {
    /// The contents of the file; `nil` if it does not exist. A file of more than `limit` bytes is an error.
    package static func contents(of path: String, atMost limit: Int) throws(SystemError) -> [UInt8]? {
        // SAFETY: `open` reads a C string that lives as long as the call.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw SystemError("open \(path)")
        }
        defer { close(descriptor) }
        var contents: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            // SAFETY: the kernel writes at most `count` bytes into the array.
            let count = try syscall("read \(path)") {
                unsafe piece.withUnsafeMutableBytes { unsafe Int32(read(descriptor, $0.baseAddress, $0.count)) }
            }
            guard count > 0 else { return contents }
            contents += piece[..<Int(count)]
            guard contents.count <= limit else { throw SystemError("read \(path)", number: EFBIG) }
        }
    }

    /// The names in a folder, sorted.
    package static func names(in folder: String) throws(SystemError) -> [String] {
        // SAFETY: `opendir` reads a C string that lives as long as the call. The result is closed when this returns or
        // throws.
        guard let directory = unsafe opendir(folder) else { throw SystemError("open \(folder)") }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            // SAFETY: an entry is valid until the next call. Its name ends with a zero byte, and is read before that.
            guard let entry = unsafe readdir(directory) else { break }
            let offset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 0
            let start = unsafe (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: CChar.self)
            names.append(unsafe String(cString: start))
        }
        guard errno == 0 else { throw SystemError("read \(folder)") }
        return names.filter { $0 != "." && $0 != ".." }.sorted()
    }

    /// Removes a file. Does nothing if it does not exist.
    package static func remove(_ path: String) throws(SystemError) {
        // SAFETY: `unlink` reads a C string that lives as long as the call.
        guard unsafe unlink(path) != 0, errno != ENOENT else { return }
        throw SystemError("remove \(path)")
    }

    /// Renames a file, and replaces an existing file of that name. Durable after `synchronize(folder:)`.
    package static func rename(_ path: String, to target: String) throws(SystemError) {
        // SAFETY: both C strings live as long as the call.
        _ = try syscall("rename \(path)") { unsafe Glibc.rename(path, target) }
    }

    /// Returns when the names in a folder would survive a loss of power.
    package static func synchronize(folder: String) throws(SystemError) {
        // SAFETY: `open` reads a C string that lives as long as the call.
        let descriptor = try syscall("open \(folder)") { unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { close(descriptor) }
        _ = try syscall("fsync \(folder)") { fsync(descriptor) }
    }
}
