internal import Policy
internal import Synchronization

/// Limits the access log's lines about errors for each organization, and for each address without an organization.
/// Refused requests cost their sender nothing, so they must not fill a disk.
///
/// The memory is fixed. Organizations and addresses have separate tables, so that many addresses cannot displace an
/// organization. In a full table, a newcomer shares the slot of another one.
final class AccessLogShares: Sendable {
    /// Lines that were suppressed since the last call of ``takeSuppressed()``; without a name if several shared the slot.
    struct Suppressed: Equatable, Sendable {
        var organization: String?
        var client: String?
        var lines: Int
    }

    private struct Slot {
        var key: UInt64 = 0
        /// When the whole allowance is available again, by the clock of the loops.
        var fullAt: UInt64 = 0
        var suppressed: Suppressed?
    }

    private struct Tables {
        /// Empty until a limit is configured and an error occurs.
        var slots: [Slot] = []
        var isAnythingSuppressed = false
    }

    private static let places = 1024
    private static let ways = 4
    private let tables = Mutex(Tables())

    /// Whether an error of this organization may have a line; without an organization, of this client.
    func admits(_ organization: Organization?, _ client: String, _ rate: GatewaySettings.LogRate, now: UInt64) -> Bool {
        let key = organization?.key ?? Self.key(of: client)
        let start = organization == nil ? Self.places : 0
        let period = UInt64(rate.periodSeconds) * 1_000_000_000
        let interval = max(1, period / UInt64(rate.count))
        return tables.withLock { tables in
            if tables.slots.isEmpty { tables.slots = [Slot](repeating: Slot(), count: 2 * Self.places) }
            let index = Self.place(of: key, in: &tables.slots, from: start, now: now)
            let fullAt = max(tables.slots[index].fullAt, now) + interval
            guard fullAt - now <= max(period, interval) else {
                let name = Suppressed(
                    organization: organization?.id, client: organization == nil ? client : nil, lines: 0)
                tables.slots[index].suppressed.add(name)
                tables.isAnythingSuppressed = true
                return false
            }
            tables.slots[index].fullAt = fullAt
            return true
        }
    }

    /// The suppressed lines since the last call. Each is returned once.
    func takeSuppressed() -> [Suppressed] {
        tables.withLock { tables in
            guard tables.isAnythingSuppressed else { return [] }
            tables.isAnythingSuppressed = false
            var taken: [Suppressed] = []
            for index in tables.slots.indices {
                if let suppressed = tables.slots[index].suppressed.take() { taken.append(suppressed) }
            }
            return taken
        }
    }

    /// One customer's IPv6 addresses are a /64, so they count as one.
    private static func key(of client: String) -> UInt64 {
        var hasher = Hasher()
        let address = IPAddress.bytes(of: client)
        if let address, address.count == 16 { hasher.combine(Array(address[..<8])) } else { hasher.combine(client) }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    /// The key's own slot, else an unused one, else the first one, shared with its owner.
    private static func place(of key: UInt64, in slots: inout [Slot], from start: Int, now: UInt64) -> Int {
        let first = Int(key % UInt64(places))
        var free: Int?
        for way in 0..<ways {
            let index = start + (first + way) % places
            if slots[index].key == key { return index }
            if free == nil, slots[index].fullAt <= now, slots[index].suppressed == nil { free = index }
        }
        // The owner keeps the slot's name. Otherwise the owner would lose its slot to the newcomer.
        guard let free else { return start + first }
        slots[free].key = key
        return free
    }
}

extension AccessLogShares.Suppressed? {
    fileprivate mutating func add(_ name: AccessLogShares.Suppressed) {
        var merged = self ?? name
        if merged.organization != name.organization { merged.organization = nil }
        if merged.client != name.client { merged.client = nil }
        merged.lines += 1
        self = merged
    }
}
