package import Policy
internal import Synchronization

/// The policy set in force, and what became of the last attempt to replace it.
///
/// A set that has a mistake never takes effect: the last good one stays.
package final class PolicyStore: Sendable {
    /// What reading the policy folder gave.
    package enum Source: Sendable {
        case files([PolicyFile])
        case unreadable(String)
    }

    /// How the store stands, for the admin interface.
    package struct Status: Sendable {
        package var set: PolicySet
        /// When `set` came into force, in seconds since the epoch.
        package var loadedAt: Int64
        /// How often the set was replaced by another one.
        package var reloads = 0
        /// How often a reload was refused.
        package var refusals = 0
        /// Sets that workers may still hold.
        fileprivate var retired: [PolicySet] = []
        /// The rendered diagnostics of the last refused reload, with its time; `nil` after a good one.
        package var lastRefusal: (at: Int64, text: String)?
        /// The rendered warnings of the last good reading.
        package var warnings: [String] = []
        /// Settings of `set` that differ from those the process was started with, and take effect with the next start.
        package var needsRestart: [String] = []
        package var parts: [ReloadedPart: PartReloads] = [:]
    }

    /// What came of a reload.
    package enum Reload: Sendable {
        /// Nothing changed in meaning; `isRepaired` where the last attempt had been refused.
        case unchanged(isRepaired: Bool)
        case replaced(PolicySet)
        /// The last good set stays in force; the text says why, for people.
        case refused(String)
    }

    private let read: @Sendable () -> Source
    private let load: @Sendable ([PolicyFile]) -> PolicyLoad
    private let now: @Sendable () -> Int64
    private let status: Mutex<Status>

    /// `read` and `load` are called by ``reload()`` and may take their time; `now` is in seconds since the epoch.
    package init(
        initial: PolicySet, warnings: [Diagnostic] = [], now: @escaping @Sendable () -> Int64,
        read: @escaping @Sendable () -> Source,
        load: @escaping @Sendable ([PolicyFile]) -> PolicyLoad
    ) {
        self.now = now
        self.read = read
        self.load = load
        status = Mutex(Status(set: initial, loadedAt: now(), warnings: warnings.map(\.rendered)))
    }

    package var current: PolicySet { status.withLock { $0.set } }

    package func snapshot() -> Status { status.withLock { $0 } }

    /// Reads, checks and, when all is well, swaps. Takes as long as the files take: not for an event loop.
    package func reload() -> Reload {
        switch read() {
        case .unreadable(let reason): return refuse(reason)
        case .files(let files):
            switch load(files) {
            case .refused(let diagnostics): return refuse(diagnostics.map(\.rendered).joined(separator: "\n"))
            case .loaded(let set, let warnings):
                let texts = warnings.map(\.rendered)
                return status.withLock { status in
                    let isRepaired = status.lastRefusal != nil
                    status.lastRefusal = nil
                    status.warnings = texts
                    guard set.version != status.set.version else { return .unchanged(isRepaired: isRepaired) }
                    status.retired.append(status.set)
                    status.set = set
                    status.loadedAt = now()
                    status.reloads += 1
                    return .replaced(set)
                }
            }
        }
    }

    /// Keeps what became of an attempt to take over another part, for the admin interface.
    package func record(_ part: ReloadedPart, _ outcome: PartReloads.Outcome) {
        let now = now()
        status.withLock { status in
            var reloads = status.parts[part] ?? PartReloads()
            switch outcome {
            case .unchanged: reloads.lastRefusal = nil
            case .replaced:
                reloads.lastRefusal = nil
                reloads.accepted += 1
            case .refused(let text):
                reloads.lastRefusal = (now, text)
                reloads.refused += 1
            }
            status.parts[part] = reloads
        }
    }

    /// Keeps which settings wait for the next start.
    package func record(needsRestart settings: [String]) { status.withLock { $0.needsRestart = settings } }

    /// Frees the sets that no request uses any more. Called from the thread that may take its time: the last reference to
    /// a set of many tokens takes milliseconds to drop, which an event loop has not got.
    package func dropRetired() {
        status.withLock { status in
            for index in status.retired.indices.reversed() where isKnownUniquelyReferenced(&status.retired[index]) {
                status.retired.remove(at: index)
            }
        }
    }

    private func refuse(_ text: String) -> Reload {
        let now = now()
        status.withLock { status in
            status.refusals += 1
            status.lastRefusal = (now, text)
        }
        return .refused(text)
    }
}
