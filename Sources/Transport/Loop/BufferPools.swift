internal import HTTP

/// The buffers that the connections of one loop share. A connection holds buffers only while something is in them, so idle
/// connections cost none. The buffer that was given back last is lent first, because it is still in the caches.
struct BufferPools {
    private var small: [[UInt8]] = []
    private var large: [[UInt8]] = []
    private var outputs: [[UInt8]] = []
    private var fieldRooms: [[HeadField]] = []

    /// The capacity of all `outputs` together.
    private var outputBytes = 0

    /// The number of connections whose TLS session keeps its buffers while nothing is in them.
    private(set) var sessionsKept = 0

    /// The maximum number of sessions that keep their buffers, some 34 KiB each.
    private static let sessionLimit = 64
    /// So many connections may be busy at once without an allocation for each request.
    private static let limit = 2048
    /// Of the buffers that may be large, so many bytes are kept.
    private static let limitBytes = 16 << 20
    /// There is room for nearly every request's head. A connection keeps it for as long as its request waits for a response.
    static let smallBytes = 4_096
    /// There is room for two TLS records, which takes half as many system calls as with one.
    static let largeBytes = 32_768

    /// The number of read buffers that no connection holds.
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

    /// Makes a buffer without filling it with zeros: for that, the kernel would have to back all of its pages with memory.
    private static func untouched(_ bytes: Int) -> [UInt8] {
        // SAFETY: only bytes that were received into it are ever looked at, and any bits make a UInt8.
        unsafe [UInt8](unsafeUninitializedCapacity: bytes) { _, count in count = bytes }
    }

    /// An empty write buffer, with the capacity of its earlier use.
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

    /// Whether one more session may keep its buffers. If so, `giveBackSession` must follow.
    mutating func takeSession() -> Bool {
        guard sessionsKept < BufferPools.sessionLimit else { return false }
        sessionsKept += 1
        return true
    }

    mutating func giveBackSession() { sessionsKept -= 1 }

    /// An empty array with capacity for a head's field lines.
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
