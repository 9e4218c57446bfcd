package import Transport

/// The end of one journal or snapshot file, where its frames are appended. Blocks.
///
/// It knows how much of the file is durable. After a write or an `fdatasync` that failed, the owner cuts off the rest with
/// ``cutToDurable()`` before the next frame, or gives the file up.
package struct JournalAppender: Sendable {
    private let file: any JournalFile
    private let salt: UInt64
    /// Where the next frame stands.
    private var length: Int
    /// How many bytes of the file are durable.
    package private(set) var durableLength: Int
    /// Whether something may stand behind the durable bytes.
    package private(set) var needsCut: Bool

    /// Starts the file `name` with a header and the frames of `records`. Nothing of it is durable before ``synchronize()``, and
    /// its name not before that of the disk's names.
    package init(
        creating name: String, on disk: any JournalStorage, salt: UInt64, records: [[UInt8]] = []
    ) throws(SystemError) {
        file = try disk.create(name)
        self.salt = salt
        let header = JournalHeader(salt: salt).encoded()
        let contents = header + Self.frames(of: records, at: header.count, salt: salt)
        try file.append(contents.span)
        length = contents.count
        durableLength = 0
        needsCut = true
    }

    /// Goes on with the file `name`, of which the first `length` bytes count. What is behind them is cut off before the first frame.
    package init(
        continuing name: String, on disk: any JournalStorage, salt: UInt64, length: Int
    ) throws(SystemError) {
        file = try disk.open(name)
        self.salt = salt
        self.length = length
        durableLength = length
        needsCut = true
    }

    /// Writes the frames of `records`, which become durable with the next ``synchronize()``.
    package mutating func append(_ records: [[UInt8]]) throws(SystemError) {
        let frames = Self.frames(of: records, at: length, salt: salt)
        needsCut = true
        try file.append(frames.span)
        length += frames.count
    }

    /// Makes everything durable that was appended. After an error nothing behind ``durableLength`` counts.
    package mutating func synchronize() throws(SystemError) {
        try file.synchronize()
        durableLength = length
        needsCut = false
    }

    /// Cuts the file to what is durable, durably, unless there is nothing to cut.
    package mutating func cutToDurable() throws(SystemError) {
        guard needsCut else { return }
        try file.truncate(to: durableLength)
        try file.synchronize()
        length = durableLength
        needsCut = false
    }

    private static func frames(of records: [[UInt8]], at offset: Int, salt: UInt64) -> [UInt8] {
        var frames: [UInt8] = []
        frames.reserveCapacity(records.reduce(0) { $0 + JournalFrame.headSize + $1.count })
        for record in records { JournalFrame.append(record, at: offset + frames.count, salt: salt, to: &frames) }
        return frames
    }
}
