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
        var rate = BodyRate(timeouts)
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
                guard rate.received(range.count, after: now - asked) else {
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
