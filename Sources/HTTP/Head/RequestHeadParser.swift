/// Reads request heads from the front of a connection's bytes (RFC 9112, sections 2 to 5).
///
/// Strict on purpose: two hops that disagree on where a line or a message ends can be made to disagree on what a
/// request is. When the bytes run out the parser remembers where in which token it stands, so a byte is looked at once
/// however slowly it arrives, and what is wrong is told at the first byte that proves it: any split of the same bytes
/// gives the same answer.
package struct RequestHeadParser: Sendable {
    package let limits: HeadLimits
    private var progress = HeadProgress()

    package init(limits: HeadLimits = HeadLimits()) { self.limits = limits }

    /// Parses the head at the front of `input` into `head`; `false` when more bytes are needed.
    ///
    /// Then it wants to be called again with the same bytes and those that have come behind them, and the same `head`.
    package mutating func parse(_ input: Span<UInt8>, into head: inout RequestHead) throws(HeadError) -> Bool {
        if progress.phase == .start { head.reset() }
        var reader = HeadReader(
            input: input.extracting(first: min(input.count, limits.headBytes)), limits: limits, progress: progress)
        progress = HeadProgress()
        guard try reader.read(into: &head) else {
            progress = reader.progress
            return false
        }
        return true
    }

    /// Forgets the head that was begun: the bytes in front are other ones now.
    package mutating func reset() { progress = HeadProgress() }
}
