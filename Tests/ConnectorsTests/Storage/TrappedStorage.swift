import Foundation
import Journal
import Synchronization
import Transport

@testable import Connectors

/// The disk, with a trap that every changing operation runs into before it happens.
///
/// Nothing is really flushed: a test that pulls no plug need not wait for it.
/// One operation at a time: what the trap sees of the disk is what a crash at that moment would leave.
final class TrappedStorage: Storage {
    /// Told the number of the operation, from 1, and what it is; may look at the disk, and may throw instead.
    typealias Trap = @Sendable (Int, String) throws(StorageError) -> Void

    private let disk = DiskStorage()
    private let gate = Gate()
    private let trap: Mutex<Trap?>

    init(_ trap: Trap? = nil) { self.trap = Mutex(trap) }

    func set(_ trap: Trap?) { self.trap.withLock { $0 = trap } }

    /// The operations so far.
    var count: Int { gate.count.withLock { $0 } }

    final class Gate: Sendable {
        let count = Mutex(0)
        private let order = NSRecursiveLock()

        func pass<Value, Failure: Error>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
            order.lock()
            defer { order.unlock() }
            return try body()
        }

        func next() -> Int {
            count.withLock { count in
                count += 1
                return count
            }
        }
    }

    func change<Value>(
        _ what: String, _ body: () throws(StorageError) -> Value
    ) throws(StorageError) -> Value {
        try gate.pass { () throws(StorageError) in
            let number = gate.next()
            try trap.withLock { $0 }?(number, what)
            return try body()
        }
    }

    func open(_ path: String, for use: FileUse) throws(StorageError) -> any StorageFile {
        guard use == .write else { return try disk.open(path, for: use) }
        let file = try change("open \(path)") { () throws(StorageError) in try disk.open(path, for: use) }
        return TrappedFile(storage: self, file: file, path: path)
    }

    func names(in directory: String) throws(StorageError) -> [String] { try disk.names(in: directory) }

    func createDirectory(_ path: String) throws(StorageError) { try disk.createDirectory(path) }

    func move(_ path: String, to target: String) throws(StorageError) {
        try change("move \(path)") { () throws(StorageError) in try disk.move(path, to: target) }
    }

    func remove(_ path: String) throws(StorageError) {
        try change("remove \(path)") { () throws(StorageError) in try disk.remove(path) }
    }

    func synchronize(directory: String) throws(StorageError) {
        try change("synchronize \(directory)") {}
    }
}

private struct TrappedFile: StorageFile {
    let storage: TrappedStorage
    let file: any StorageFile
    let path: String

    func length() throws(StorageError) -> Int { try file.length() }

    func read(at offset: Int, count: Int) throws(StorageError) -> [UInt8] {
        try file.read(at: offset, count: count)
    }

    /// In two halves, so that the second one can fail or be missing after a crash.
    func write(_ bytes: [UInt8], at offset: Int) throws(StorageError) {
        let half = bytes.count / 2
        try storage.change("write \(path)") { () throws(StorageError) in
            try file.write(Array(bytes[..<half]), at: offset)
        }
        try storage.change("write on \(path)") { () throws(StorageError) in
            try file.write(Array(bytes[half...]), at: offset + half)
        }
    }

    func truncate(to length: Int) throws(StorageError) {
        try storage.change("truncate \(path)") { () throws(StorageError) in try file.truncate(to: length) }
    }

    func synchronize() throws(StorageError) {
        try storage.change("synchronize \(path)") {}
    }

    func lock() -> Bool { file.lock() }
    func unlock() { file.unlock() }
}

/// The folder of the journal, with the same trap.
struct TrappedFolder: JournalStorage {
    let storage: TrappedStorage
    let path: String
    private let folder: JournalFolder

    init(_ storage: TrappedStorage, path: String) {
        self.storage = storage
        self.path = path
        folder = JournalFolder(path: path)
    }

    func change<Value>(_ what: String, _ body: () throws(SystemError) -> Value) throws(SystemError) -> Value {
        let outcome: Result<Value, SystemError>
        do throws(StorageError) {
            outcome = try storage.change(what) { () throws(StorageError) in
                Result { () throws(SystemError) in try body() }
            }
        } catch { throw SystemError(what, number: 28) }
        return try outcome.get()
    }

    func names() throws(SystemError) -> [String] { try folder.names() }

    func contents(of name: String) throws(SystemError) -> [UInt8]? { try folder.contents(of: name) }

    func create(_ name: String) throws(SystemError) -> any JournalFile {
        let file = try change("create \(path)/\(name)") { () throws(SystemError) in try folder.create(name) }
        return TrappedJournalFile(folder: self, file: file, path: "\(path)/\(name)")
    }

    func open(_ name: String) throws(SystemError) -> any JournalFile {
        let file = try change("open \(path)/\(name)") { () throws(SystemError) in try folder.open(name) }
        return TrappedJournalFile(folder: self, file: file, path: "\(path)/\(name)")
    }

    func rename(_ name: String, to target: String) throws(SystemError) {
        try change("rename \(path)/\(name)") { () throws(SystemError) in try folder.rename(name, to: target) }
    }

    func remove(_ name: String) throws(SystemError) {
        try change("remove \(path)/\(name)") { () throws(SystemError) in try folder.remove(name) }
    }

    func synchronizeNames() throws(SystemError) { try change("synchronize \(path)") {} }
}

private struct TrappedJournalFile: JournalFile {
    let folder: TrappedFolder
    let file: any JournalFile
    let path: String

    /// In two halves, so that the second one can fail or be missing after a crash.
    func append(_ bytes: Span<UInt8>) throws(SystemError) {
        let half = bytes.count / 2
        let copy = bytes.indices.map { bytes[$0] }
        let (front, back) = (Array(copy[..<half]), Array(copy[half...]))
        try folder.change("write \(path)") { () throws(SystemError) in try file.append(front.span) }
        try folder.change("write on \(path)") { () throws(SystemError) in try file.append(back.span) }
    }

    func truncate(to length: Int) throws(SystemError) {
        try folder.change("truncate \(path)") { () throws(SystemError) in try file.truncate(to: length) }
    }

    func synchronize() throws(SystemError) { try folder.change("synchronize \(path)") {} }
}

extension StorageError {
    static func full(_ path: String) -> StorageError {
        StorageError(operation: "write", path: path, reason: .noSpace)
    }
}

/// A state directory with a small connection, so that every moment of its life can be looked at.
enum Small {
    static let users = 130
    static let orders = 60

    /// The rows of a source, `updated_at` in the order of the numbers.
    static func rows(_ name: String, _ range: ClosedRange<Int>, version: Int = 1, at base: Int = 0) -> String {
        range.map { index in
            let moment = Timestamp(milliseconds: 1_700_000_000_000 + Int64(base + index) * 1000)
            return #"{"id":"\#(name)_\#(index)","version":\#(version),"updated_at":"\#(moment.iso8601)"}"# + "\n"
        }.joined()
    }

    static func directory(cursor: Bool = true, key: Bool = true, rowsPerSecond: Int = 2000) throws -> String {
        let directory = Bench.newDirectory()
        let fields = [cursor ? #"cursor: "updated_at""# : nil, key ? #"key: "id""# : nil].compactMap(\.self)
        let stream = "{ \(fields.joined(separator: ", ")) }"
        let text = """
            { connections: [ {
                id: "conn_abc123", organization: "org_xyz789", source: { folder: "source" },
                destination: { folder: "destination" }, pace: { rowsPerSecond: \(rowsPerSecond) },
                streams: { users: \(stream), orders: \(stream) },
            } ] }
            """
        try FileManager.default.createDirectory(atPath: "\(directory)/source", withIntermediateDirectories: true)
        try write(text, "\(directory)/connectors.json5")
        try write(rows("user", 1...users), "\(directory)/source/users.ndjson")
        try write(rows("order", 1...orders), "\(directory)/source/orders.ndjson")
        return directory
    }

    static func write(_ text: String, _ path: String) throws {
        try text.write(toFile: path, atomically: false, encoding: .utf8)
    }

    static func options(_ directory: String, storage: any Storage = DiskStorage()) -> ConnectorOptions {
        var options = ConnectorOptions(stateDirectory: directory)
        options.warn = { _ in }
        options.storage = storage
        if let trapped = storage as? TrappedStorage {
            options.journalDisk = { TrappedFolder(trapped, path: $0) }
        }
        return options
    }
}

extension Bench {
    func smallRows(_ stream: String) -> [String] { lines("\(directory)/destination/\(stream).ndjson") }
    func smallSource(_ stream: String) -> [String] { lines("\(directory)/source/\(stream).ndjson") }
}
