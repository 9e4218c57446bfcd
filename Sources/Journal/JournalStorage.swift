package import Transport

/// The folder of the journal's file, behind one door so that a test can make the n-th operation fail. Everything blocks.
package protocol JournalStorage: Sendable {
    /// The whole file; `nil` when there is none.
    func contents(of name: String) throws(SystemError) -> [UInt8]?
    /// Creates the file, or empties the one there is.
    func create(_ name: String) throws(SystemError) -> any JournalFile
    /// Gives a file another name, in place of the file that has it.
    func rename(_ name: String, to target: String) throws(SystemError)
    /// Makes the names as durable as the contents.
    func synchronizeNames() throws(SystemError)
}

/// An open file that only grows. It is closed when the last reference goes.
package protocol JournalFile: Sendable {
    func append(_ bytes: Span<UInt8>) throws(SystemError)
    /// Returns when everything written so far would survive a loss of power.
    func synchronize() throws(SystemError)
}

extension AppendFile: JournalFile {}

/// A folder of this machine.
package struct JournalFolder: JournalStorage {
    private let path: String

    /// No longer file is read.
    private static let maxBytes = 1 << 30

    package init(path: String) { self.path = path }

    package func contents(of name: String) throws(SystemError) -> [UInt8]? {
        try FileSystem.contents(of: "\(path)/\(name)", atMost: Self.maxBytes)
    }

    package func create(_ name: String) throws(SystemError) -> any JournalFile {
        try AppendFile(emptying: "\(path)/\(name)")
    }

    package func rename(_ name: String, to target: String) throws(SystemError) {
        try FileSystem.rename("\(path)/\(name)", to: "\(path)/\(target)")
    }

    package func synchronizeNames() throws(SystemError) { try FileSystem.synchronize(folder: path) }
}
