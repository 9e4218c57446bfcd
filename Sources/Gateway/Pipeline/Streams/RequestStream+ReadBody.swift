internal import HTTP
package import Transport

/// The part of a body that has been read.
package struct ReceivedBody {
    package var bytes: [UInt8] = []
    /// Whether it is the whole body.
    package var isWhole = true

    package init() {}
}

extension RequestStream where Self: ~Copyable {
    /// Reads the request's body: all of it, or at most one piece more than the first `enough` bytes. Throws as soon as
    /// the body is too large, too slow or malformed.
    ///
    /// The body's memory counts against `owner`'s share of `budget` as long as `allowance` lives. `count` is the number
    /// of bytes that have arrived.
    package mutating func readBody(
        atMost limit: Int, upTo enough: Int = .max, _ allowance: inout BodyMemoryPermit, of budget: BodyMemoryBudget,
        for owner: ShareOwner, count: inout Int
    ) async throws(Failure) -> ReceivedBody {
        var body = ReceivedBody()
        switch request.head.framing {
        case .none: return body
        case .length(let length) where length > UInt64(limit):
            throw Failure(.bodyTooLarge(limit: limit), at: .read)
        case .length, .chunked, .untilClose: break
        }
        var pace = BodyPace(timeouts)
        while body.bytes.count <= enough {
            let asked = now
            switch await nextBodyPiece(unlessReadable: nil) {
            case .bytes(let range):
                let wanted = body.bytes.count + range.count
                guard wanted <= limit else { throw Failure(.bodyTooLarge(limit: limit), at: .read) }
                guard allowance.grow(to: wanted, for: owner, of: budget) else {
                    throw Failure(.overloaded, at: .read)
                }
                request.appendBody(range, to: &body.bytes)
                count = wanted
                guard pace.received(range.count, after: now - asked) else {
                    throw Failure(.bodyTimeout, at: .read)
                }
            case .end: return body
            case .malformed(let error): throw Failure(.framing(error), at: .read)
            case .timedOut: throw Failure(.bodyTimeout, at: .read)
            case .closed, .answered: throw Failure(.bodyIncomplete, at: .read)
            }
        }
        body.isWhole = false
        return body
    }
}

/// Whether a body comes fast enough to be worth what is held for it: a byte now and then is progress, but not enough.
///
/// Only the time counts in which the client was waited for, so that nobody is blamed for a slow upstream.
struct BodyPace {
    private let span: Duration
    private let minBytes: Int
    private var waited = Duration.zero
    private var bytes = 0

    /// Looks at spans as long as there may be between two pieces.
    init(_ timeouts: ServerTimeouts) { self.init(span: timeouts.body) }

    init(span: Duration) {
        self.span = span
        minBytes = Int(span.components.seconds) * BodyPace.minBytesPerSecond
    }

    static let minBytesPerSecond = 1024

    /// Whether so many bytes after so long a wait still make a pace that is fast enough.
    mutating func received(_ count: Int, after wait: Duration) -> Bool {
        waited += wait
        bytes += count
        guard waited >= span else { return true }
        let isFastEnough = bytes >= minBytes
        waited = .zero
        bytes = 0
        return isFastEnough
    }
}
