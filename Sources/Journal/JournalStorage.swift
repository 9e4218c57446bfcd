package import Transport

/// The folder of a journal's files, behind one door so that a test can make the n-th operation fail. Everything blocks.
package protocol JournalStorage: Sendable {
    /// The names of the files that are there.
    func names() throws(SystemError) -> [String]
    /// The whole file; `nil` when there is none.
    func contents(of name: String) throws(SystemError) -> [UInt8]?
    /// Creates the file, or empties the one there is.
    func create(_ name: String) throws(SystemError) -> any JournalFile
    /// Opens the file that is there, to go on at its end.
    func open(_ name: String) throws(SystemError) -> any JournalFile
    /// Gives a file another name, in place of the file that has it.
    func rename(_ name: String, to target: String) throws(SystemError)
    /// Removes a file; an absent one is fine.
    func remove(_ name: String) throws(SystemError)
    /// Makes the names as durable as the contents.
    func synchronizeNames() throws(SystemError)
}

/// An open file that grows at its end only. It is closed when the last reference goes.
package protocol JournalFile: Sendable {
    /// Writes at the end. After an error nobody knows how many of the bytes are there.
    func append(_ bytes: Span<UInt8>) throws(SystemError)
    /// Cuts off what is behind the first `length` bytes; a crash may undo that until the next ``synchronize()``.
    func truncate(to length: Int) throws(SystemError)
    /// Returns when everything written so far would survive a loss of power.
    func synchronize() throws(SystemError)
}

extension AppendFile: JournalFile {}

/// A folder of this machine.
package struct JournalFolder: JournalStorage {
    private let path: String
    private let maxBytes: Int

    /// No file of more than `maxBytes` bytes is read.
    package init(path: String, maxBytes: Int = 1 << 30) {
        self.path = path
        self.maxBytes = maxBytes
    }

    package func names() throws(SystemError) -> [String] { try FileSystem.names(in: path) }

    package func contents(of name: String) throws(SystemError) -> [UInt8]? {
        try FileSystem.contents(of: "\(path)/\(name)", atMost: maxBytes)
    }

    package func create(_ name: String) throws(SystemError) -> any JournalFile {
        try AppendFile(emptying: "\(path)/\(name)")
    }

    package func open(_ name: String) throws(SystemError) -> any JournalFile {
        try AppendFile(continuing: "\(path)/\(name)")
    }

    package func rename(_ name: String, to target: String) throws(SystemError) {
        try FileSystem.rename("\(path)/\(name)", to: "\(path)/\(target)")
    }

    package func remove(_ name: String) throws(SystemError) { try FileSystem.remove("\(path)/\(name)") }

    package func synchronizeNames() throws(SystemError) { try FileSystem.synchronize(folder: path) }
}
