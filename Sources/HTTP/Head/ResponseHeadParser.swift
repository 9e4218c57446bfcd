/// Reads response heads from the front of an upstream's bytes. It is as strict and as restartable as
/// `RequestHeadParser`: any split of the same bytes gives the same result.
package struct ResponseHeadParser: Sendable {
    /// The limits of a head; there is no target.
    package let limits: HeadLimits
    private var progress = HeadProgress()

    /// A parser for the responses of one connection.
    package init(limits: HeadLimits = .upstream) { self.limits = limits }

    /// Parses the head at the front of `input`, the response to a request with that method, into `head`.
    ///
    /// Returns `false` if more bytes are needed: call it again with the same bytes and the next ones, and the same
    /// `head`.
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

    /// Drops a partly parsed head: the input has another front now.
    package mutating func reset() { progress = HeadProgress() }
}
