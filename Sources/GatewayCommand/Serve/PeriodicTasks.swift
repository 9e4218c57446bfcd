import Crypto
import Gateway
import Policy
import Synchronization
import Transport

/// The work that a running gateway does from time to time: it rotates ticket keys, frees unused policy sets, and checks
/// the age of its certificate.
final class PeriodicTasks: Sendable {
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

    /// Does the work that is due. The caller calls this about once a second.
    func run() {
        let lifetime = policies.current.settings.tls.ticketLifetime
        let now = Instant.now()
        let (isRotationDue, isCheckDue) = times.withLock { times in
            let due = (now - times.rotated >= lifetime, now - times.checked >= .seconds(3600))
            if due.0 { times.rotated = now }
            if due.1 { times.checked = now }
            return due
        }
        if isRotationDue { ticketKeys.rotate() }
        if isCheckDue { requests.add(.certificateCheck) }
        policies.dropRetired()
    }
}
