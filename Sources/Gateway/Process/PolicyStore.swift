package import Policy
internal import Synchronization
internal import Transport

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
        /// The rendered diagnostics of the last refused reload, with its time; `nil` after a good one.
        package var lastRefusal: (at: Int64, text: String)?
        /// The rendered warnings of the last good reading.
        package var warnings: [String] = []
        /// Settings of `set` that differ from those the process was started with, and take effect with the next start.
        package var needsRestart: [String] = []
        /// The reloads of the other files. Files for which no reload was tried have no entry.
        package var files: [ReloadedFiles: FileReloadStatus] = [:]
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
    private let timeout: Duration
    private let status: Mutex<Status>
    /// Sets that are no longer in force, and that requests may still use.
    private let retired = Mutex<[PolicySet]>([])
    /// A thread of lowest priority is still compiling.
    private let isCompiling = Atomic<Bool>(false)

    /// The result of reading and compiling the files, with its texts.
    private enum Compiled: Sendable {
        case refused(String)
        case loaded(PolicySet, warnings: [String])
    }

    /// Passes the result of a thread of lowest priority to the caller. The thread frees a late result.
    private final class Result: Sendable {
        let value = Mutex<Compiled?>(nil)
    }

    /// Passes sets that no request uses to the thread that frees them.
    private final class UnusedSets: Sendable {
        private let sets: Mutex<[PolicySet]>

        init(_ sets: [PolicySet]) { self.sets = Mutex(sets) }

        func take() -> [PolicySet] {
            sets.withLock { sets in
                defer { sets = [] }
                return sets
            }
        }
    }

    /// ``reload()`` calls `read` and `load`, which may take long. `now` is in seconds since the epoch. `timeout` is how
    /// long a reload waits for a thread of lowest priority.
    package init(
        initial: PolicySet, warnings: [Diagnostic] = [], timeout: Duration = .seconds(30),
        now: @escaping @Sendable () -> Int64,
        read: @escaping @Sendable () -> Source,
        load: @escaping @Sendable ([PolicyFile]) -> PolicyLoad
    ) {
        self.now = now
        self.timeout = timeout
        self.read = read
        self.load = load
        status = Mutex(Status(set: initial, loadedAt: now(), warnings: warnings.map(\.rendered)))
    }

    /// The set in force. May be called on any thread.
    package var current: PolicySet { status.withLock { $0.set } }

    /// All values at one moment. May be called on any thread.
    package func snapshot() -> Status { status.withLock { $0 } }

    /// Reads, checks and, when all is well, swaps. Takes as long as the files take: not for an event loop.
    package func reload() -> Reload {
        switch compile() {
        case .refused(let text): return refuse(text)
        case .loaded(let set, let warnings):
            let (old, reload) = status.withLock { status -> (PolicySet, Reload) in
                let isRepaired = status.lastRefusal != nil
                status.lastRefusal = nil
                status.warnings = warnings
                guard set.version != status.set.version else { return (set, .unchanged(isRepaired: isRepaired)) }
                let old = status.set
                status.set = set
                status.loadedAt = now()
                status.reloads += 1
                return (old, .replaced(set))
            }
            retired.withLock { $0.append(old) }
            return reload
        }
    }

    /// Reads and compiles the files on a thread of lowest priority, so that it takes no processor time from requests.
    ///
    /// While requests keep all processors busy, that thread may not run. An urgent change, such as the removal of a
    /// token, must take effect in any case. If the thread does not finish in time, the calling thread does the work
    /// again.
    private func compile() -> Compiled {
        guard !isCompiling.load(ordering: .acquiring) else { return compileHere() }
        isCompiling.store(true, ordering: .relaxed)
        let result = Result()
        do throws(SystemError) {
            let isInTime = try WorkThread.runAtLowestPriority(name: "policies", within: timeout) {
                let compiled = self.compileHere()
                result.value.withLock { $0 = compiled }
                self.isCompiling.store(false, ordering: .releasing)
            }
            return (isInTime ? result.value.withLock { $0.take() } : nil) ?? compileHere()
        } catch {
            isCompiling.store(false, ordering: .relaxed)
            return compileHere()
        }
    }

    private func compileHere() -> Compiled {
        switch read() {
        case .unreadable(let reason): return .refused(reason)
        case .files(let files):
            switch load(files) {
            case .refused(let diagnostics): return .refused(diagnostics.map(\.rendered).joined(separator: "\n"))
            case .loaded(let set, let warnings): return .loaded(set, warnings: warnings.map(\.rendered))
            }
        }
    }

    /// Keeps what became of an attempt to reload other files, for the admin interface.
    package func record(_ files: ReloadedFiles, _ outcome: FileReloadStatus.Outcome) {
        let now = now()
        status.withLock { status in
            var reloads = status.files[files] ?? FileReloadStatus()
            switch outcome {
            case .unchanged: reloads.lastRefusal = nil
            case .replaced:
                reloads.lastRefusal = nil
                reloads.accepted += 1
            case .refused(let text):
                reloads.lastRefusal = (now, text)
                reloads.refused += 1
            }
            status.files[files] = reloads
        }
    }

    /// Keeps which settings wait for the next start.
    package func record(needsRestart settings: [String]) { status.withLock { $0.needsRestart = settings } }

    /// Frees the sets that no request uses any more. To be called from time to time.
    ///
    /// Freeing a set of 100,000 tokens takes milliseconds, so a thread of lowest priority does it and not one that
    /// serves requests.
    package func dropRetired() {
        let unused = retired.withLock { sets in
            var unused: [PolicySet] = []
            for index in sets.indices.reversed() where isKnownUniquelyReferenced(&sets[index]) {
                unused.append(sets.remove(at: index))
            }
            return unused
        }
        guard !unused.isEmpty else { return }
        let passed = UnusedSets(consume unused)
        let isStarted = WorkThread.detach(name: "policies", priority: .lowest) { _ = passed.take() }
        // If the system gives no thread, a later call frees them.
        if !isStarted { retired.withLock { $0 += passed.take() } }
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
