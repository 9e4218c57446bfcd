internal import HTTP

/// The buffers that the connections of one loop lend each other. A connection holds them only while something is in them, so
/// that idle ones cost none; the one given back last is lent first, because it is still in the caches.
struct BufferPools {
    private var small: [[UInt8]] = []
    private var large: [[UInt8]] = []
    private var outputs: [[UInt8]] = []
    private var fieldRooms: [[HeadField]] = []

    /// The room of all `outputs`.
    private var outputBytes = 0

    /// As many connections may be busy at once without an allocation for each request.
    private static let limit = 2048
    /// What is kept of the buffers that may be large.
    private static let limitBytes = 16 << 20
    /// Room for nearly every request's head. A connection keeps it for as long as its request waits for an answer.
    static let smallBytes = 4_096
    /// Room for two TLS records: half as many system calls as with one.
    static let largeBytes = 32_768

    /// How many read buffers no connection holds.
    var unusedForTest: Int { small.count + large.count }

    /// A buffer to read a head into. A longer head makes it grow.
    mutating func takeSmall() -> [UInt8] { small.popLast() ?? BufferPools.untouched(BufferPools.smallBytes) }

    /// A buffer to read a body into.
    mutating func takeLarge() -> [UInt8] { large.popLast() ?? BufferPools.untouched(BufferPools.largeBytes) }

    mutating func giveBack(_ buffer: [UInt8]) {
        switch buffer.count {
        case BufferPools.smallBytes where small.count < BufferPools.limit: small.append(buffer)
        case BufferPools.largeBytes where large.count < BufferPools.limitBytes / BufferPools.largeBytes:
            large.append(buffer)
        default: break
        }
    }

    /// Not filled with zeros: for that the kernel would have to back all of its pages with memory.
    private static func untouched(_ bytes: Int) -> [UInt8] {
        // SAFETY: only bytes that were received into it are ever looked at, and any bits make a UInt8.
        unsafe [UInt8](unsafeUninitializedCapacity: bytes) { _, count in count = bytes }
    }

    /// An empty write buffer with room from earlier use.
    mutating func takeOutput() -> [UInt8] {
        guard let output = outputs.popLast() else { return [] }
        outputBytes -= output.capacity
        return output
    }

    mutating func giveBack(output: inout [UInt8]) {
        guard output.isEmpty, output.capacity > 0 else { return }
        if outputs.count < 2 * BufferPools.limit, outputBytes + output.capacity <= BufferPools.limitBytes {
            outputBytes += output.capacity
            outputs.append(output)
        }
        output = []
    }

    /// Room for a head's field lines.
    mutating func takeFields() -> [HeadField] {
        if let room = fieldRooms.popLast() { return room }
        var room: [HeadField] = []
        room.reserveCapacity(24)
        return room
    }

    mutating func giveBack(fields room: [HeadField]) {
        if room.capacity > 0, fieldRooms.count < BufferPools.limit { fieldRooms.append(room) }
    }
}
