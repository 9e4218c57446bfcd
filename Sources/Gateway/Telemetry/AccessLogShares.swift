internal import Policy
internal import Synchronization

/// How many lines about errors each organization, and each address of strangers, may have in the access log: refused requests
/// cost their sender nothing, and must not fill a disk.
///
/// Its memory is fixed. Organizations and strangers have tables of their own, so that no number of addresses takes a place
/// from an organization; within a table those that find no place of their own share one that somebody has.
final class AccessLogShares: Sendable {
    /// Lines that were left out since the last time they were merged; without a name where several shared the place.
    struct Suppressed: Equatable, Sendable {
        var organization: String?
        var client: String?
        var lines: Int
    }

    private struct Slot {
        var key: UInt64 = 0
        /// When the whole allowance will be there again, by the clock of the loops.
        var fullAt: UInt64 = 0
        var suppressed: Suppressed?
    }

    private struct Tables {
        /// Empty until a limit is in force and something fails.
        var slots: [Slot] = []
        var isAnythingSuppressed = false
    }

    private static let places = 1024
    private static let ways = 4
    private let tables = Mutex(Tables())

    /// Whether an error of this organization, or of this client where nobody was recognized, may have a line.
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

    /// The lines that were left out and are still to be merged; each is returned once.
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

    /// One customer's IPv6 addresses are a /64, and count as one.
    private static func key(of client: String) -> UInt64 {
        var hasher = Hasher()
        let address = IPAddress.bytes(of: client)
        if let address, address.count == 16 { hasher.combine(Array(address[..<8])) } else { hasher.combine(client) }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    /// Its own place; else one that nobody needs any more; else the first one, shared with whoever has it.
    private static func place(of key: UInt64, in slots: inout [Slot], from start: Int, now: UInt64) -> Int {
        let first = Int(key % UInt64(places))
        var free: Int?
        for way in 0..<ways {
            let index = start + (first + way) % places
            if slots[index].key == key { return index }
            if free == nil, slots[index].fullAt <= now, slots[index].suppressed == nil { free = index }
        }
        // Whoever has the place keeps it: a guest that took its name over would leave the owner without one.
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
