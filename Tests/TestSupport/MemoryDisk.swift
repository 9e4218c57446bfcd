package import Journal
internal import Synchronization
package import Transport

/// A disk in memory that can fail. A crash keeps any part of the bytes that were not synchronized, or none.
package final class MemoryDisk: JournalStorage {
    private struct Content {
        var written: [UInt8] = []
        var durableBytes = 0
        /// The bytes that `truncate` cut off after `written`, as long as a crash may bring them back.
        var cutOff: [UInt8] = []
    }

    private struct State {
        var contents: [Content] = []
        var names: [String: Int] = [:]
        var durableNames: [String: Int] = [:]
        var operations = 0
        var fails: @Sendable (Int, String) -> Bool = { _, _ in false }
        var before: (@Sendable (Int) -> Void)?
        /// The kind of operation that takes effect and fails all the same.
        var answerLost: String?
    }

    private let state = Mutex(State())
    private let name: String

    /// An empty disk for a journal in the file `name`.
    package init(name: String = "leases.journal") { self.name = name }

    /// A disk whose journal contains these bytes.
    package init(journal: [UInt8], name: String = "leases.journal") {
        self.name = name
        state.withLock { state in
            state.contents = [Content(written: journal, durableBytes: journal.count)]
            state.names = [name: 0]
            state.durableNames = state.names
        }
    }

    /// A disk with these files.
    package init(files: [String: [UInt8]]) {
        name = ""
        state.withLock { state in
            for (name, bytes) in files.sorted(by: { $0.key < $1.key }) {
                state.names[name] = state.contents.count
                state.contents.append(Content(written: bytes, durableBytes: bytes.count))
            }
            state.durableNames = state.names
        }
    }

    /// A disk whose journal contains these records.
    package convenience init(records: [[UInt8]]) {
        var file = JournalHeader(salt: 1).encoded()
        for record in records { JournalFrame.append(record, at: file.count, salt: 1, to: &file) }
        self.init(journal: file)
    }

    /// Makes operations fail, selected by their number.
    package func fails(_ which: @escaping @Sendable (Int) -> Bool) {
        state.withLock { $0.fails = { number, _ in which(number) } }
    }

    /// Makes operations fail, selected by their number and their kind.
    package func fails(_ which: @escaping @Sendable (Int, String) -> Bool) { state.withLock { $0.fails = which } }

    /// Makes all operations of one kind fail.
    package func fails(every name: String) { state.withLock { $0.fails = { $1 == name } } }

    /// Lets all operations of one kind take effect and fail all the same, as a file system does whose server is out of reach.
    package func losesAnswer(of name: String?) { state.withLock { $0.answerLost = name } }

    /// Called before each operation with its number.
    package func before(_ body: @escaping @Sendable (Int) -> Void) { state.withLock { $0.before = body } }

    package var operations: Int { state.withLock { $0.operations } }

    package var journal: [UInt8]? {
        state.withLock { state in state.names[name].map { state.contents[$0].written } }
    }

    /// The disk that another process finds after a power failure.
    package func crashed(_ random: inout some RandomNumberGenerator) -> MemoryDisk {
        let copy = MemoryDisk(name: name)
        let after = state.withLock { state in
            var after = State()
            after.names = Bool.random(using: &random) ? state.names : state.durableNames
            after.durableNames = after.names
            after.contents = state.contents.map { content in
                let kept = Int.random(in: content.durableBytes...content.written.count, using: &random)
                if !content.cutOff.isEmpty, Bool.random(using: &random) {
                    let bytes = content.written + content.cutOff
                    return Content(written: bytes, durableBytes: bytes.count)
                }
                var bytes = Array(content.written[..<kept])
                // The new length may reach the disk before the bytes do.
                if Int.random(in: 0..<4, using: &random) == 0 {
                    bytes += [UInt8](repeating: 0, count: content.written.count - kept)
                }
                return Content(written: bytes, durableBytes: bytes.count)
            }
            return after
        }
        copy.state.withLock { $0 = after }
        return copy
    }

    /// The disk that another process finds after this one was killed: with all written bytes.
    package func killed() -> MemoryDisk {
        let copy = MemoryDisk(name: name)
        let (contents, names) = state.withLock { ($0.contents, $0.names) }
        copy.state.withLock { ($0.contents, $0.names, $0.durableNames) = (contents, names, names) }
        return copy
    }

    private func operate(_ name: String) throws(SystemError) {
        let (number, fails, before) = state.withLock { state in
            state.operations += 1
            return (state.operations, state.fails, state.before)
        }
        before?(number)
        if fails(number, name) { throw SystemError(name, number: 28) }
    }

    private func answer(_ name: String) throws(SystemError) {
        if state.withLock({ $0.answerLost == name }) { throw SystemError(name, number: 5) }
    }

    package func names() throws(SystemError) -> [String] {
        try operate("list")
        return state.withLock { $0.names.keys.sorted() }
    }

    package func contents(of name: String) throws(SystemError) -> [UInt8]? {
        try operate("read")
        return state.withLock { state in state.names[name].map { state.contents[$0].written } }
    }

    package func create(_ name: String) throws(SystemError) -> any JournalFile {
        try operate("create")
        let index = state.withLock { state in
            state.contents.append(Content())
            state.names[name] = state.contents.count - 1
            return state.contents.count - 1
        }
        return File(disk: self, index: index)
    }

    package func open(_ name: String) throws(SystemError) -> any JournalFile {
        try operate("open")
        guard let index = state.withLock({ $0.names[name] }) else { throw SystemError("open \(name)", number: 2) }
        return File(disk: self, index: index)
    }

    package func remove(_ name: String) throws(SystemError) {
        try operate("remove")
        state.withLock { $0.names[name] = nil }
    }

    package func rename(_ name: String, to target: String) throws(SystemError) {
        try operate("rename")
        state.withLock { $0.names[target] = $0.names.removeValue(forKey: name) }
        try answer("rename")
    }

    package func synchronizeNames() throws(SystemError) {
        try operate("synchronize names")
        state.withLock { $0.durableNames = $0.names }
    }

    private struct File: JournalFile {
        let disk: MemoryDisk
        let index: Int

        func append(_ bytes: Span<UInt8>) throws(SystemError) {
            // A write that fails may have written a part of its bytes.
            let half = bytes.count / 2
            write(bytes.extracting(0..<half))
            try disk.operate("write")
            write(bytes.extracting(half..<bytes.count))
        }

        private func write(_ bytes: Span<UInt8>) {
            let copy = bytes.indices.map { bytes[$0] }
            disk.state.withLock { $0.contents[index].written += copy }
        }

        func truncate(to length: Int) throws(SystemError) {
            try disk.operate("truncate")
            disk.state.withLock { state in
                let written = state.contents[index].written
                guard length < written.count else { return }
                state.contents[index].cutOff = Array(written[length...])
                state.contents[index].written = Array(written[..<length])
                state.contents[index].durableBytes = min(state.contents[index].durableBytes, length)
            }
        }

        func synchronize() throws(SystemError) {
            try disk.operate("synchronize")
            disk.state.withLock { state in
                state.contents[index].durableBytes = state.contents[index].written.count
                state.contents[index].cutOff = []
            }
        }
    }
}
