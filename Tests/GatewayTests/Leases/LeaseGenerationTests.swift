import Journal
import Policy
import TestSupport
import Testing

@testable import Gateway

private let sync = LeaseKind(index: 0, name: "sync", lifetime: .job)
private let matrix = ConcurrencyMatrix(kinds: [sync], conflicts: [[0]])
private let key = LeaseKey(organization: "o", connection: "c")

extension LeaseTable {
    /// Takes the lease and frees it.
    fileprivate func generation(on key: LeaseKey = key, now: Moment) throws -> UInt64 {
        try reserve(key, kind: sync, matrix: matrix, now: now).generation
    }
}

@Suite("Lease generation")
struct LeaseGenerationTests {
    @Test("Lease generation: it grows with each lease, whether or not the time of day advances")
    func grows() throws {
        let table = LeaseTable()
        let first = try table.generation(now: 1000)
        #expect(first == 1000)
        #expect(try table.generation(now: 1000) == 1001)
        #expect(try table.generation(now: 5000) == 5000)
        #expect(try table.generation(now: 0) == 5001)
    }

    @Test("Lease generation: while it is ahead of the time of day it is no count of the leases of others")
    func isNoCount() throws {
        let table = LeaseTable(shardCount: 1)
        table.continues(after: 500_000, now: 0)
        let first = try table.generation(now: 1000)
        for other in 0..<100 {
            let key = LeaseKey(organization: "other", connection: "\(other)")
            _ = try table.generation(on: key, now: Moment(2000 + other))
        }
        #expect(try table.generation(now: 11_000) == first + 10_000)
    }

    @Test("Lease generation: a conflict names the one that holds the connection")
    func inConflict() throws {
        let table = LeaseTable()
        let lease = try table.reserve(key, kind: sync, matrix: matrix, now: 7000)
        #expect(table.conflict(key, kind: sync, matrix: matrix, now: 8000)?.generation == lease.generation)
    }

    @Test(
        "Lease generation: it grows over a crash, even if the time of day was set back and the lease had ended",
        arguments: [false, true])
    func overCrash(isCompacted: Bool) throws {
        let disk = MemoryDisk()
        let last: UInt64
        do {
            let journal = LeaseJournal(disk: disk, minCompaction: isCompacted ? 1 : 1 << 20) { _ in }
            let table = LeaseTable(shardCount: 1, journal: journal)
            journal.writePending()
            _ = try table.generation(now: 1_000_000)
            journal.writePending()
            last = try table.generation(now: 1_030_000)
            journal.writePending()
            journal.writePending()
        }
        let (table, journal) = try LeaseTable.restored(
            from: disk.killed(), matrix: matrix, responseTimeout: .zero, now: 5, warn: { _ in })
        defer { journal.close() }
        #expect(try table.generation(now: 5) > last)
    }

    @Test(
        "Lease generation: a lease that lasts for its request waits for the bound of its generation, and for nothing else"
    )
    func boundOfRequest() throws {
        let state = LeaseKind(index: 0, name: "state", lifetime: .request)
        let matrix = ConcurrencyMatrix(kinds: [state], conflicts: [[0]])
        let journal = LeaseJournal(disk: MemoryDisk()) { _ in }
        let table = LeaseTable(shardCount: 1, journal: journal)
        journal.writePending()
        let first = try table.reserve(key, kind: state, matrix: matrix, now: 0)
        #expect(!journal.isDurableForTest(first.position))
        first.release()
        // Another one that begins before the bound is on the disk waits for it, too.
        let second = try table.reserve(key, kind: state, matrix: matrix, now: 1)
        #expect(!journal.isDurableForTest(second.position))
        journal.writePending()
        #expect(journal.isDurableForTest(second.position))
        second.release()
        let third = try table.reserve(key, kind: state, matrix: matrix, now: 2)
        #expect(journal.isDurableForTest(third.position))
        third.release()
    }

    @Test("Lease generation: a bound on disk is ahead, so that few leases write one")
    func boundIsRare() throws {
        let disk = MemoryDisk()
        let journal = LeaseJournal(disk: disk) { _ in }
        let table = LeaseTable(shardCount: 1, journal: journal)
        journal.writePending()
        for milliseconds in 0..<1000 { _ = try table.generation(now: Moment(1_000_000 + milliseconds)) }
        journal.writePending()
        let contents = try #require(try JournalContents.read(LeaseJournal.fileName, from: disk))
        let bounds = contents.records.filter {
            if case .generations = LeaseChange($0.span) { true } else { false }
        }
        #expect(bounds.count == 1)
    }

    @Test("Lease generation: a late answer of an older one neither binds nor frees the newer lease")
    func lateAnswer() throws {
        let table = LeaseTable()
        var late = try table.reserve(key, kind: sync, matrix: matrix, now: 0)
        late.forwarded()
        // The work turned out not to have begun, while its answer was still on the way.
        let serial = late.serial
        table.conclude(key, serial, as: .free)
        let newer = try table.reserve(key, kind: sync, matrix: matrix, now: 10)
        let generation = newer.generation
        table.bind(key, serial, LeaseJob(id: "old", type: "sync", status: "running"), now: 11)
        table.conclude(key, serial, as: .free)
        #expect(table.usage().reserved == 1)
        newer.bind(LeaseJob(id: "new", type: "sync", status: "running"), now: 12)
        late.release()
        let conflict = try #require(table.conflict(key, kind: sync, matrix: matrix, now: 13))
        #expect(conflict.job?.id == "new")
        #expect(conflict.generation == generation)
    }
}
