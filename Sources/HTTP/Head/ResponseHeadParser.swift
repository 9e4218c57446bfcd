/// Reads response heads from the front of what an upstream sent: as strict as `RequestHeadParser` and restartable like it, so
/// that any split of the same bytes gives the same answer.
package struct ResponseHeadParser: Sendable {
    /// How much head is read; there is no target.
    package let limits: HeadLimits
    private var progress = HeadProgress()

    /// A parser for the responses of one connection.
    package init(limits: HeadLimits = .upstream) { self.limits = limits }

    /// Parses the head at the front of `input`, the answer to a request with that method, into `head`; `false` when more
    /// bytes are needed.
    ///
    /// Then it wants to be called again with the same bytes and those that have come behind them, and the same `head`.
    package mutating func parse(
        _ input: Span<UInt8>, answering method: HTTPMethod, into head: inout ResponseHead
    ) throws(ResponseHeadError) -> Bool {
        if progress.phase == .start { head.reset() }
        var reader = HeadReader(
            input: input.extracting(first: min(input.count, limits.headBytes)), limits: limits, progress: progress)
        progress = HeadProgress()
        guard try reader.read(into: &head, answering: method) else {
            progress = reader.progress
            return false
        }
        return true
    }

    /// Forgets the head that was begun: the bytes in front are other ones now.
    package mutating func reset() { progress = HeadProgress() }
}
