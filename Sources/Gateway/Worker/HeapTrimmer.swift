internal import Transport

/// Decides when the heap is trimmed: after a burst of handshakes.
///
/// Each handshake needs some 40 KiB for a moment. Those that happen at the same time take it side by side; what is allocated
/// meanwhile and stays is spread among it, and the rest would be the process's for ever: 17 KiB for each of 1,000 clients that
/// come at once.
struct HeapTrimmer {
    private var trimmedAt: UInt64 = 0
    private var seen: UInt64 = 0
    private var notBefore = Instant(nanoseconds: 0)

    /// So few handshakes leave too little to look for.
    private static let minHandshakes: UInt64 = 128
    /// A trim looks at all that is free while everybody who allocates waits: some milliseconds for this many connections, but
    /// hundreds for ten times as many.
    private static let maxConnections: UInt64 = 4096
    private static let distance = Duration.seconds(30)

    /// Call it regularly. Whether to trim now, when there have been `total` handshakes so far.
    mutating func isDue(handshakes total: UInt64, connections: UInt64, now: Instant) -> Bool {
        let (sinceTrim, sinceLast) = (total - trimmedAt, total - seen)
        seen = total
        // A burst is over when the last moment brought little of it.
        guard sinceTrim >= HeapTrimmer.minHandshakes, sinceLast <= sinceTrim / 16, now >= notBefore,
            connections <= HeapTrimmer.maxConnections
        else { return false }
        trimmedAt = total
        notBefore = now + HeapTrimmer.distance
        return true
    }
}
