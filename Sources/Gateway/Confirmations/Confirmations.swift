internal import Bytes
internal import Crypto
internal import Synchronization

/// The request that a confirmation is for. Any difference makes it another request.
struct ConfirmedRequest {
    let subject: String
    let organization: String
    let route: String
    let connection: String
    /// Of the method, the path, the query and the canonical body.
    let fingerprint: RequestFingerprint
}

/// Issues the confirmations of two-step requests, and accepts each of them once.
///
/// An issued confirmation takes no memory: a code under a key of this process proves it. So it survives a reload of the
/// policies, and neither a restart nor a change to another gateway. Only used ones are remembered, until they expire.
final class Confirmations: Sendable {
    /// How long a client has for the second step.
    static let lifetimeSeconds = 300

    private let codes = MessageCode()
    private let issuer: UInt64
    private let used: Mutex<UsedConfirmations>

    init(maximumUsed: Int = 1 << 16, maximumOfOrganization: Int = 1024) {
        var random = SystemRandomNumberGenerator()
        issuer = random.next()
        used = Mutex(UsedConfirmations(maximum: maximumUsed, maximumOfOrganization: maximumOfOrganization))
    }

    /// A confirmation for the request. `now` is monotonic.
    func issue(for request: ConfirmedRequest, now: UInt64) -> ConfirmationToken {
        var random = SystemRandomNumberGenerator()
        return token(for: request, expiresAt: now + UInt64(Self.lifetimeSeconds) * 1_000_000_000, number: random.next())
    }

    /// Checks that a text confirms the request. It may still have been used: see ``use(_:organization:now:)``.
    func check(_ text: Span<UInt8>, for request: ConfirmedRequest, now: UInt64) throws(ConfirmationError)
        -> ConfirmationToken
    {
        guard let token = ConfirmationToken(text) else { throw .malformed }
        guard token.issuer == issuer else { throw .anotherGateway }
        guard token == self.token(for: request, expiresAt: token.expiresAt, number: token.number) else {
            throw .anotherRequest
        }
        guard now < token.expiresAt else { throw .expired }
        return token
    }

    /// The result of using a confirmation.
    enum Use: Equatable {
        case first
        case again
        /// The organization has used so many that they cannot be remembered.
        case tooMany(retryAfterSeconds: Int)
    }

    /// Uses a confirmation that was checked. Of parallel calls with one confirmation, one gets `first`.
    func use(_ token: ConfirmationToken, organization: UInt64, now: UInt64) -> Use {
        used.withLock { $0.use(token, organization: organization, now: now) }
    }

    /// No work began under a confirmation that was used, so it can be used once more.
    func giveBack(_ token: ConfirmationToken) { used.withLock { $0.giveBack(token) } }

    private func token(for request: ConfirmedRequest, expiresAt: UInt64, number: UInt64) -> ConfirmationToken {
        var text: [UInt8] = []
        // The length in front delimits each part: ("ab", "c") and ("a", "bc") differ.
        for part in [request.subject, request.organization, request.route, request.connection] {
            text += UInt64(part.utf8.count).littleEndianBytes
            text += part.utf8
        }
        for word in [request.fingerprint.high, request.fingerprint.low, issuer, expiresAt, number] {
            text += word.littleEndianBytes
        }
        return ConfirmationToken(issuer: issuer, expiresAt: expiresAt, number: number, code: codes.code(of: text.span))
    }
}

/// The confirmations that were used and have not expired. An organization can have a limited number, so that it does not
/// take the room of others.
private struct UsedConfirmations: ~Copyable {
    private struct Entry {
        let number: UInt64
        let organization: UInt64
        let expiresAt: UInt64
    }

    private let maximum: Int
    private let maximumOfOrganization: Int
    private var numbers: Set<UInt64> = []
    /// In the order of their use. They expire in nearly the same order, at most a lifetime later.
    private var entries: [Entry] = []
    private var first = 0
    private var counts: [UInt64: Int] = [:]

    init(maximum: Int, maximumOfOrganization: Int) {
        self.maximum = maximum
        self.maximumOfOrganization = maximumOfOrganization
    }

    mutating func use(_ token: ConfirmationToken, organization: UInt64, now: UInt64) -> Confirmations.Use {
        forgetExpired(now)
        guard !numbers.contains(token.number) else { return .again }
        guard entries.count - first < maximum, counts[organization, default: 0] < maximumOfOrganization else {
            let end = entries.indices.contains(first) ? entries[first].expiresAt : now
            return .tooMany(retryAfterSeconds: max(1, Int((end - min(end, now)) / 1_000_000_000) + 1))
        }
        numbers.insert(token.number)
        counts[organization, default: 0] += 1
        entries.append(Entry(number: token.number, organization: organization, expiresAt: token.expiresAt))
        return .first
    }

    /// Its entry stays until the confirmation expires, so that a caller cannot use and give back without end.
    mutating func giveBack(_ token: ConfirmationToken) { numbers.remove(token.number) }

    private mutating func forgetExpired(_ now: UInt64) {
        while first < entries.count, entries[first].expiresAt <= now {
            let entry = entries[first]
            first += 1
            numbers.remove(entry.number)
            let count = counts[entry.organization, default: 1] - 1
            counts[entry.organization] = count > 0 ? count : nil
        }
        guard first > 64, first * 2 > entries.count else { return }
        entries.removeFirst(first)
        first = 0
    }
}
