/// Reads request heads from the front of a connection's bytes (RFC 9112, sections 2 to 5).
///
/// Strict on purpose: two hops that disagree on where a line or a message ends can be made to disagree on what a
/// request is. When the bytes run out the parser remembers where in which token it stands, so a byte is looked at once
/// however slowly it arrives, and what is wrong is told at the first byte that proves it: any split of the same bytes
/// gives the same answer.
package struct HeadParser: Sendable {
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
        do throws(HeadError) {
            guard try reader.read(into: &head) else {
                progress = reader.progress
                return false
            }
        } catch {
            progress = HeadProgress()
            throw error
        }
        progress = HeadProgress()
        return true
    }

    /// Forgets the head that was begun: the bytes in front are other ones now.
    package mutating func reset() { progress = HeadProgress() }
}

/// Where the reading of a head stands, and what its fields have said so far.
struct HeadProgress: Sendable {
    /// What the next byte belongs to, in the order of the wire.
    enum Phase: UInt8, Sendable {
        case start
        case method
        case target
        case version
        case line
        case name
        case spaceBeforeValue
        case value
        case lineFeed
        case lastLineFeed
    }

    var phase = Phase.start
    /// The next byte to look at.
    var index = 0
    /// Where the token of this phase began.
    var mark = 0
    var nameRange: Range<Int> = 0..<0
    var name = FieldName.other
    /// `nil` for one that is not offered.
    var method: HTTPMethod?
    var hasHost = false
    /// The target names the host; the Host field is checked and then ignored (RFC 9112, section 3.2.2).
    var hasTargetHost = false
    var contentLength: UInt64?
    var isChunked = false
    var closes = false
    var keepsAlive = false
}
