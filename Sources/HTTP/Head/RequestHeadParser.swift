/// Reads request heads from the front of a connection's bytes (RFC 9112, sections 2 to 5).
///
/// Strict on purpose: if two hops disagree on where a line or a message ends, an attacker can make them disagree on
/// what a request is.
///
/// The parser keeps its position within a token: it reads a byte once, however slowly it arrives, and throws at the
/// first byte that proves an error. Any split of the same bytes gives the same result.
package struct RequestHeadParser: Sendable {
    package let limits: HeadLimits
    private var progress = HeadProgress()

    package init(limits: HeadLimits = HeadLimits()) { self.limits = limits }

    /// Parses the head at the front of `input` into `head`.
    ///
    /// Returns `false` if more bytes are needed: call it again with the same bytes and the next ones, and the same
    /// `head`.
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

    /// Drops a partly parsed head: the input has another front now.
    package mutating func reset() { progress = HeadProgress() }
}
