import Policy
import TestSupport
import Testing

@testable import Gateway
@testable import Transport

/// Whoever is refused because of a lease is told which request took it, after a restart too.
@Suite("The trace id of a lease in the journal")
struct LeaseTraceTests {
    private static let sync = LeaseKind(index: 0, name: "sync", lifetime: .job)
    private static let matrix = ConcurrencyMatrix(kinds: [sync], conflicts: [[0]])
    private static let key = LeaseKey(organization: "org", connection: "conn")
    private static let traceID = TraceID(high: 0x0AF7_6519_16CD_43DD, low: 0x8448_EB21_1C80_319C)

    /// A table with what the disk remembers, and its journal.
    private static func started(_ disk: MemoryDisk) throws -> (LeaseTable, LeaseJournal) {
        let entries = try LeaseJournal.recover(from: disk) { _ in }.leases
        let journal = LeaseJournal(disk: disk, minCompaction: 1 << 20) { _ in }
        let table = LeaseTable(shardCount: 1, journal: journal)
        for entry in entries { table.restore(entry, matrix: matrix, now: 9) }
        journal.writePending()
        return (table, journal)
    }

    private static func conflict(_ table: LeaseTable) -> LeaseConflict? {
        table.conflict(key, kind: sync, matrix: matrix, now: 9)
    }

    @Test(
        "Lease journal, trace id: it is written and read back, by the process after the next one too, with a job and without",
        arguments: [true, false])
    func restart(hasJob: Bool) throws {
        let disk = MemoryDisk()
        let (table, journal) = try Self.started(disk)
        var lease = try table.reserve(
            Self.key, kind: Self.sync, family: .aitronos, matrix: Self.matrix, now: 5, traceID: Self.traceID)
        if hasJob {
            lease.bind(LeaseJob(id: "job_1", type: "sync", status: "running"), now: 6)
        } else {
            lease.forwarded()
            lease.leaveUncertain()
        }
        journal.writePending()
        let second = disk.killed()
        let restarted = try Self.started(second)
        #expect(Self.conflict(restarted.0)?.traceID == Self.traceID)
        #expect(Self.conflict(restarted.0)?.job?.id == (hasJob ? "job_1" : nil))
        let third = try Self.started(second.killed())
        #expect(Self.conflict(third.0)?.traceID == Self.traceID)
    }

    @Test(
        "Lease journal, trace id: a lease without it, as an older gateway wrote it, is read all the same, and so is one with nonsense in its place",
        arguments: ["", "\"trace_id\":\"nonsense\",", "\"trace_id\":7,", "\"trace_id\":null,"])
    func older(member: String) throws {
        let text = """
            {"lease":7,"organization":"org","connection":"conn","kind":"sync","family":"aitronos","since":5,\(member)\
            "job":{"id":"job_1","type":"sync","status":"running"}}
            """
        let disk = MemoryDisk(records: [Array(text.utf8)])
        let (table, _) = try Self.started(disk)
        let conflict = try #require(Self.conflict(table))
        #expect(conflict.job?.id == "job_1" && conflict.traceID == nil)
    }
}
