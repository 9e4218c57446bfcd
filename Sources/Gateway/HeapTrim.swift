internal import Transport

/// Decides when the heap is trimmed: after a burst of handshakes.
///
/// Each handshake needs some 40 KiB for a moment. Those that happen at the same time take it side by side; what is allocated
/// meanwhile and stays is spread among it, and the rest would be the process's for ever: 17 KiB for each of 1,000 clients that
/// come at once. Trimming costs about 2 us for each of them.
struct HeapTrim {
    private var trimmedAt: UInt64 = 0
    private var seen: UInt64 = 0

    /// So few handshakes leave too little to look for.
    private static let least: UInt64 = 128
    /// A burst that does not end is trimmed in pieces, so that no pause is long.
    private static let most: UInt64 = 1024

    /// Call it regularly. Whether to trim now, when there have been `total` handshakes so far.
    mutating func isDue(handshakes total: UInt64) -> Bool {
        let (sinceTrim, sinceLast) = (total - trimmedAt, total - seen)
        seen = total
        // A burst is over when the last moment brought little of it.
        let isOver = sinceTrim >= HeapTrim.least && sinceLast <= sinceTrim / 16
        guard isOver || sinceTrim >= HeapTrim.most else { return false }
        trimmedAt = total
        return true
    }
}

extension Worker {
    /// Gives back to the kernel what handshakes have left.
    func trimHeap() {
        let handshakes =
            counts.value(of: .handshakesFull) + counts.value(of: .handshakesResumed)
            + counts.value(of: .handshakesFailed)
        if heapTrim.isDue(handshakes: handshakes) { trimHeapOfProcess() }
    }
}
