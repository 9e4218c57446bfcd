import Crypto
import Gateway
import Policy
import Synchronization
import Transport

/// What a running gateway looks at now and then: ticket keys, sets that nobody uses any more, the age of its certificate.
final class Upkeep: Sendable {
    private struct Times {
        var rotated = Instant.now()
        var checked = Instant.now()
    }

    private let policies: PolicyStore
    private let ticketKeys: TicketKeys
    private let requests: ReloadRequests
    private let times = Mutex(Times())

    init(policies: PolicyStore, ticketKeys: TicketKeys, requests: ReloadRequests) {
        self.policies = policies
        self.ticketKeys = ticketKeys
        self.requests = requests
    }

    /// Call about once a second.
    func look() {
        let lifetime = policies.current.settings.tls.ticketLifetime
        let now = Instant.now()
        let (isRotationDue, isCheckDue) = times.withLock { times in
            let due = (now - times.rotated >= lifetime, now - times.checked >= .seconds(3600))
            if due.0 { times.rotated = now }
            if due.1 { times.checked = now }
            return due
        }
        if isRotationDue { ticketKeys.rotate() }
        if isCheckDue { requests.ask(because: .passedTime) }
        policies.dropRetired()
    }
}
