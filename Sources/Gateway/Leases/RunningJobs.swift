internal import Policy
internal import Synchronization

/// The leases of jobs, by organization: how many there are, and on which connections. Counts a lease from its reservation to its end.
///
/// Locks of leases come before those of this index.
final class RunningJobs: Sendable {
    private struct Entry {
        let key: LeaseKey
        let token: String?
    }

    private struct OrganizationJobs {
        var entries: [UInt64: Entry] = [:]
        var byToken: [String: Set<UInt64>] = [:]

        func count(_ scope: JobCap.Scope, _ token: String?) -> Int {
            switch scope {
            case .organization: entries.count
            case .token: token.flatMap { byToken[$0]?.count } ?? 0
            }
        }

        func exceeded(_ caps: [JobCap], _ token: String?) -> JobCap? { caps.first { count($0.scope, token) >= $0.max } }

        /// Some of the serial numbers that `scope` counts together. Costs as much as it returns, because a client that meets a cap may
        /// meet it again and again.
        func some(_ scope: JobCap.Scope, _ token: String?, limit: Int) -> [UInt64] {
            switch scope {
            case .organization: Array(entries.keys.prefix(limit))
            case .token: Array((token.flatMap { byToken[$0] } ?? []).prefix(limit))
            }
        }
    }

    private let shards = (0..<RunningJobs.shardCount).map { _ in Shard() }
    private static let shardCount = 16

    private final class Shard: Sendable {
        let organizations = Mutex<[String: OrganizationJobs]>([:])
    }

    /// Counts a lease. With `caps`, returns the first cap that it would exceed, and counts nothing then.
    func begin(_ serial: UInt64, on key: LeaseKey, of token: String?, caps: [JobCap] = []) -> JobCap? {
        shard(of: key.organization).organizations.withLock { organizations in
            if !caps.isEmpty {
                let jobs = organizations[key.organization] ?? OrganizationJobs()
                if let cap = jobs.exceeded(caps, token) { return cap }
            }
            organizations[key.organization, default: OrganizationJobs()].entries[serial] = Entry(key: key, token: token)
            if let token { organizations[key.organization]?.byToken[token, default: []].insert(serial) }
            return nil
        }
    }

    func end(_ serial: UInt64, on key: LeaseKey) {
        shard(of: key.organization).organizations.withLock { organizations in
            guard let entry = organizations[key.organization]?.entries.removeValue(forKey: serial) else { return }
            if let token = entry.token {
                organizations[key.organization]?.byToken[token]?.remove(serial)
                if organizations[key.organization]?.byToken[token]?.isEmpty ?? false {
                    organizations[key.organization]?.byToken[token] = nil
                }
            }
            if organizations[key.organization]?.entries.isEmpty ?? false { organizations[key.organization] = nil }
        }
    }

    /// The cap that one more job would exceed. Counts nothing.
    func exceeded(_ caps: [JobCap], _ organization: String, _ token: String?) -> JobCap? {
        shard(of: organization).organizations.withLock { organizations in
            (organizations[organization] ?? OrganizationJobs()).exceeded(caps, token)
        }
    }

    /// Some of the leases that `scope` counts together, oldest first, at most `limit`.
    func leases(
        of organization: String, _ scope: JobCap.Scope, _ token: String?, limit: Int
    ) -> [(serial: UInt64, key: LeaseKey)] {
        shard(of: organization).organizations.withLock { organizations in
            guard let jobs = organizations[organization] else { return [] }
            return jobs.some(scope, token, limit: limit).sorted().compactMap { serial in
                jobs.entries[serial].map { (serial, $0.key) }
            }
        }
    }

    /// All leases of an organization, in no order.
    func leases(of organization: String) -> [(serial: UInt64, key: LeaseKey)] {
        shard(of: organization).organizations.withLock { organizations in
            organizations[organization]?.entries.map { ($0.key, $0.value.key) } ?? []
        }
    }

    private func shard(of organization: String) -> Shard {
        shards[organization.hashValue & (RunningJobs.shardCount - 1)]
    }
}
