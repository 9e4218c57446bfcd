internal import HTTP
package import Transport

extension ServerConnection {
    /// Reads the request's body whole, or throws as soon as it is too large, too slow or malformed.
    ///
    /// Its memory counts against `budget` for as long as `allowance` lives. `count` is how much of it has come.
    package mutating func readBody(
        atMost limit: Int, _ allowance: inout BodyAllowance, of budget: BodyBudget, count: inout Int
    ) async throws(Failure) -> [UInt8] {
        switch head.framing {
        case .none: return []
        case .length(let length) where length > UInt64(limit):
            throw Failure(.bodyTooLarge(limit: limit), at: .read)
        case .length(let length): try allowance.allow(Int(length), of: budget)
        case .chunked, .untilClose: break
        }
        var body: [UInt8] = []
        let startedAt = loop.now
        while true {
            switch await nextBodyPiece() {
            case .bytes(let range):
                guard body.count + range.count <= limit else { throw Failure(.bodyTooLarge(limit: limit), at: .read) }
                try allowance.allow(body.count + range.count, of: budget)
                copyBody(range, to: &body)
                count = body.count
                // A byte now and then is progress, but not one that is worth the memory.
                let seconds = Int((loop.now - startedAt).components.seconds)
                if seconds > 30, body.count < seconds * leastBytesPerSecond {
                    throw Failure(.bodyTimeout, at: .read)
                }
            case .end: return body
            case .malformed(let error): throw Failure(.framing(error), at: .read)
            case .timedOut: throw Failure(.bodyTimeout, at: .read)
            case .closed, .answered: throw Failure(.bodyIncomplete, at: .read)
            }
        }
    }
}

/// The least rate of a body, over its whole time, once it has taken half a minute.
private let leastBytesPerSecond = 1024

extension BodyAllowance {
    fileprivate mutating func allow(_ bytes: Int, of budget: BodyBudget) throws(Failure) {
        guard grow(to: bytes, of: budget) else { throw Failure(.overloaded, at: .read) }
    }
}
