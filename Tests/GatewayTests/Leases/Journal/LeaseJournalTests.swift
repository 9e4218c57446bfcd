import Foundation
import Journal
import Policy
import Synchronization
import TestSupport
import Testing

@testable import Gateway
@testable import Transport

private let sync = LeaseKind(index: 0, name: "sync", lifetime: .job)
private let state = LeaseKind(index: 1, name: "state", lifetime: .request)
private let matrix = ConcurrencyMatrix(kinds: [sync, state], conflicts: [[0], [0]])

/// A table with a journal whose thread is the test's.
private struct Kept {
    let disk: MemoryDisk
    let journal: LeaseJournal
    let table: LeaseTable

    init(_ disk: MemoryDisk, minCompaction: Int = 1 << 20) throws(JournalError) {
        self.disk = disk
        let entries = try LeaseJournal.recover(from: disk) { _ in }.leases
        journal = LeaseJournal(disk: disk, minCompaction: minCompaction) { _ in }
        table = LeaseTable(shardCount: 1, journal: journal)
        for entry in entries { table.restore(entry, matrix: matrix, now: 100) }
        journal.writePending()
    }

    func key(_ number: Int) -> LeaseKey { LeaseKey(organization: "org", connection: "conn_\(number)") }

    func reserve(_ number: Int) throws(LeaseConflict) -> Lease {
        try table.reserve(key(number), kind: sync, family: .aitronos, matrix: matrix, now: 5)
    }

    func hold(_ number: Int) throws(LeaseConflict) { try reserve(number).bind(job(number), now: 6) }

    func job(_ number: Int) -> LeaseJob {
        LeaseJob(id: "job_\(number)", type: "sync", status: "running", startedAt: 7, location: "/jobs/job_\(number)")
    }
}

/// The leases a disk remembers, by their connection: the job's id, or "?" where there is none.
private func remembered(_ disk: MemoryDisk) throws -> [String: String] {
    var leases: [String: String] = [:]
    for entry in try LeaseJournal.recover(from: disk, warn: { _ in }).leases {
        #expect(leases.updateValue(entry.job?.id ?? "?", forKey: entry.key.connection) == nil)
    }
    return leases
}

@Suite("Lease journal")
struct LeaseJournalTests {
    @Test("LeaseJournal: a lease is found again as it was, with its job or uncertain, and one that ended is not")
    func roundTrip() throws {
        let first = try Kept(MemoryDisk())
        try first.hold(1)
        try first.hold(2)
        var lease = try first.reserve(3)
        lease.forwarded()
        first.table.jobEnded(first.key(2), jobID: "job_2", now: 9)
        first.journal.writePending()
        let second = try Kept(first.disk.killed())
        #expect(second.table.usage() == LeaseTable.Usage(held: 1, uncertain: 1))
        let polledLeases = second.table.polledLeases().sorted { $0.key.connection < $1.key.connection }
        #expect(
            polledLeases[0].job == first.job(1) && polledLeases[0].family == .aitronos && polledLeases[0].since == 5)
        #expect(polledLeases[1].key == first.key(3) && polledLeases[1].job == nil && polledLeases[1].isAccepted)
        // And again from the file that the second process wrote.
        #expect(try Kept(second.disk.killed()).table.usage() == LeaseTable.Usage(held: 1, uncertain: 1))
        lease.release()
    }

    @Test("LeaseJournal: a lease for a request only is not kept, and waits only for the bound of its generation")
    func requestLease() async throws {
        let kept = try Kept(MemoryDisk())
        let first = try kept.table.reserve(kept.key(1), kind: state, matrix: matrix, now: 0)
        kept.journal.writePending()
        try await first.waitUntilDurable()
        first.release()
        // The bound is ahead by a minute, so a disk that fails stops no other one until then.
        kept.disk.fails { _ in true }
        let second = try kept.table.reserve(kept.key(1), kind: state, matrix: matrix, now: 1000)
        try await second.waitUntilDurable()
        kept.disk.fails { _ in false }
        kept.journal.writePending()
        #expect(try remembered(kept.disk.killed()) == [:])
        second.release()
    }

    @Test("LeaseJournal: a kind that the policy does not name any more excludes everything")
    func kindGone() throws {
        let first = try Kept(MemoryDisk())
        try first.hold(1)
        first.journal.writePending()
        let table = LeaseTable()
        let renamed = LeaseKind(index: 0, name: "export", lifetime: .job)
        let other = ConcurrencyMatrix(kinds: [renamed], conflicts: [[]])
        for entry in try LeaseJournal.recover(from: first.disk.killed(), warn: { _ in }).leases {
            table.restore(entry, matrix: other, now: 9)
        }
        #expect(table.conflict(first.key(1), kind: renamed, matrix: other, now: 9)?.job == first.job(1))
    }

    @Test("LeaseJournal: a tail cut off at any byte costs only the record it is in")
    func tornTail() throws {
        let kept = try Kept(MemoryDisk())
        try kept.hold(1)
        try kept.reserve(2).leaveUncertain()
        kept.journal.writePending()
        let file = try #require(kept.disk.journal)
        let header = try #require(JournalHeader(file))
        let ends = JournalFrame.all(in: file, salt: header.salt).payloads.map(\.upperBound)
        // The first one bounds the generations of the leases.
        #expect(ends.count == 4)
        for cut in JournalHeader.size...file.count {
            for zeros in [0, 1, 8, 300] {
                let disk = MemoryDisk(journal: Array(file[..<cut]) + [UInt8](repeating: 0, count: zeros))
                let expected: [String: String] =
                    switch ends.count(where: { $0 <= cut }) {
                    case 0, 1: [:]
                    case 2: ["conn_1": "?"]
                    case 3: ["conn_1": "job_1"]
                    default: ["conn_1": "job_1", "conn_2": "?"]
                    }
                #expect(try remembered(disk) == expected)
                // What comes next is not lost behind the damage.
                let next = try Kept(disk)
                try next.hold(7)
                next.journal.writePending()
                #expect(try remembered(next.disk.killed()) == expected.merging(["conn_7": "job_7"]) { $1 })
            }
        }
    }

    @Test(
        "LeaseJournal: a file that does not begin with a header of this version is refused, not taken for one without leases"
    )
    func foreignFile() throws {
        let kept = try Kept(MemoryDisk())
        try kept.hold(1)
        kept.journal.writePending()
        let file = try #require(kept.disk.journal)
        // The format of before: length, checksum, JSON.
        let old: [UInt8] = [11, 0, 0, 0, 1, 2, 3, 4] + Array(#"{"freed":1}"#.utf8)
        var foreign = [old, [], Array(#"{"lease":1}"#.utf8), [UInt8](repeating: 0, count: 300)]
        foreign += (0..<JournalHeader.size).map { Array(file[..<$0]) }
        foreign += (0..<JournalHeader.size * 8).map { bit in
            var damaged = file
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            return damaged
        }
        for bytes in foreign {
            let disk = MemoryDisk(journal: bytes)
            #expect(throws: JournalError.noHeader(name: "leases.journal")) { try remembered(disk) }
            #expect(disk.journal == bytes)
        }
    }

    @Test("LeaseJournal: any flipped bit costs the record it is in, and no other")
    func flippedBits() throws {
        let kept = try Kept(MemoryDisk())
        for number in 1...2 { try kept.hold(number) }
        kept.journal.writePending()
        let file = try #require(kept.disk.journal)
        let whole = ["conn_1": "job_1", "conn_2": "job_2"]
        #expect(try remembered(MemoryDisk(journal: file)) == whole)
        for bit in JournalHeader.size * 8..<file.count * 8 {
            var damaged = file
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            let found = try remembered(MemoryDisk(journal: damaged))
            // Each lease has two records: without the one its job is unknown, without the other nothing is missing.
            #expect(found.count == 2, "bit \(bit)")
            #expect(found.filter { $0.value != whole[$0.key] }.allSatisfy { $0.value == "?" })
            #expect(found.count { $0.value == "?" } <= 1)
        }
    }

    @Test("LeaseJournal: garbage of any kind is no lease, and no crash")
    func garbage() throws {
        var random = SeededRandom(state: 7)
        for count in 0..<2000 {
            let bytes = (0..<count % 97).map { _ in UInt8.random(in: 0...UInt8.max, using: &random) }
            #expect(throws: JournalError.self) { try remembered(MemoryDisk(journal: bytes)) }
            #expect(try remembered(MemoryDisk(journal: JournalHeader(salt: 1).encoded() + bytes)) == [:])
        }
        let strange = ["{}", "[]", "1", "{\"lease\":-1}", "{\"lease\":1}", "{\"freed\":\"1\"}", "\u{0}"]
        let disk = MemoryDisk(records: strange.map { Array($0.utf8) })
        #expect(try remembered(disk) == [:])
    }

    @Test(
        "LeaseJournal: whichever operation of the disk fails, a secured lease is remembered and an unsecured one does not go upstream"
    )
    func faults() throws {
        for isLasting in [false, true] {
            var number = 0
            while true {
                number += 1
                let failing = number
                let disk = MemoryDisk()
                disk.fails { isLasting ? $0 >= failing : $0 == failing }
                guard try script(disk) else { continue }
                if disk.operations < failing { break }
            }
            #expect(number > 20)
        }
    }

    /// Leases begin and end while the disk fails. `false` where the journal could not even be read.
    private func script(_ disk: MemoryDisk) throws -> Bool {
        guard let kept = try? Kept(disk) else { return false }
        var random = SeededRandom(state: 3)
        /// What goes upstream, and so must never be forgotten before its end.
        var live: Set<Int> = []
        func check() throws {
            for _ in 0..<4 {
                let found = try remembered(disk.crashed(&random))
                for number in live { #expect(found["conn_\(number)"] != nil) }
            }
        }
        for number in 0..<12 {
            let lease = try kept.reserve(number)
            kept.journal.writePending()
            if kept.journal.isAvailable {
                live.insert(number)
                lease.bind(kept.job(number), now: 1)
            } else {
                lease.release()
            }
            if number % 3 == 2, let old = live.min() {
                live.remove(old)
                kept.table.jobEnded(kept.key(old), jobID: "job_\(old)", now: 2)
            }
            try check()
            if number % 4 == 3 { kept.journal.retry() }
            kept.journal.writePending()
            try check()
        }
        // When the disk is well again, so is the journal.
        disk.fails { _ in false }
        kept.journal.retry()
        kept.journal.writePending()
        #expect(kept.journal.isAvailable)
        let expected = Dictionary(uniqueKeysWithValues: live.map { ("conn_\($0)", "job_\($0)") })
        #expect(try remembered(disk.killed()) == expected)
        return true
    }

    @Test("LeaseJournal: a crash before any operation of a compaction finds every lease")
    func compaction() throws {
        let disk = MemoryDisk()
        let kept = try Kept(disk, minCompaction: 20_000)
        for number in 0..<20 { try kept.hold(number) }
        kept.journal.writePending()
        let lost = Mutex<[Int]>([])
        let random = Mutex(SeededRandom(state: 11))
        disk.before { operation in
            for _ in 0..<4 {
                let found = try? random.withLock { try remembered(disk.crashed(&$0)) }
                let isWhole = found.map { found in (0..<20).allSatisfy { found["conn_\($0)"] == "job_\($0)" } } ?? false
                if !isWhole { lost.withLock { $0.append(operation) } }
            }
        }
        var longest = 0
        var compactions = 0
        for round in 0..<40 {
            for number in 100..<105 {
                try kept.hold(number)
                kept.table.jobEnded(kept.key(number), jobID: "job_\(number)", now: 3)
            }
            let before = kept.journal.fileBytes
            kept.journal.writePending()
            if kept.journal.fileBytes < before { compactions += 1 }
            longest = max(longest, kept.journal.fileBytes)
            #expect(kept.journal.isAvailable, "round \(round)")
        }
        #expect(lost.withLock { $0 } == [])
        #expect(compactions > 0)
        #expect(longest <= 20_000, "the file grew to \(longest)")
    }
}

@Suite("Lease journal's thread")
struct LeaseJournalThreadTests {
    @Test("LeaseJournal, thread: many requests are secured together, and found after a kill", .timeLimit(.minutes(1)))
    func groups() async throws {
        let disk = MemoryDisk()
        let (table, journal) = try LeaseTable.restored(from: disk, matrix: matrix, responseTimeout: .zero, now: 0) {
            _ in
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<100 {
                group.addTask {
                    let key = LeaseKey(organization: "org", connection: "conn_\(number)")
                    let lease = try table.reserve(key, kind: sync, matrix: matrix, now: 0)
                    try await lease.waitUntilDurable()
                    #expect(try remembered(disk.killed())["conn_\(number)"] == "?")
                    lease.bind(LeaseJob(id: "job_\(number)", type: "sync", status: "running"), now: 0)
                }
            }
            try await group.waitForAll()
        }
        journal.close()
        #expect(try remembered(disk.killed()).count == 100)
    }

    @Test(
        "LeaseJournal, thread: a full disk refuses triggers, is reported once, and is used again when it has space",
        .timeLimit(.minutes(1)))
    func fullDisk() async throws {
        let disk = MemoryDisk()
        let lines = Mutex<[String]>([])
        let (table, journal) = try LeaseTable.restored(from: disk, matrix: matrix, responseTimeout: .zero, now: 0) {
            line in
            lines.withLock { $0.append(line) }
        }
        let key = LeaseKey(organization: "org", connection: "conn_1")
        func trigger() async -> LeaseJournal.Unavailable? {
            guard let lease = try? table.reserve(key, kind: sync, matrix: matrix, now: 0) else {
                Issue.record("refused")
                return nil
            }
            do throws(LeaseJournal.Unavailable) {
                try await lease.waitUntilDurable()
                return nil
            } catch { return error }
        }
        disk.fails { _ in true }
        for _ in 0..<3 { #expect(await trigger() == LeaseJournal.Unavailable()) }
        #expect(!journal.isAvailable)
        #expect(table.usage() == LeaseTable.Usage())
        disk.fails { _ in false }
        try waitUntil("the disk is used again") { journal.isAvailable }
        #expect(await trigger() == nil)
        journal.close()
        #expect(lines.withLock { $0.count } == 2)
        #expect(await trigger() == LeaseJournal.Unavailable())
    }

    @Test("LeaseJournal, thread: a request does not wait for ever for a disk that hangs", .timeLimit(.minutes(1)))
    func hangingDisk() async throws {
        let disk = MemoryDisk()
        let (table, journal) = try LeaseTable.restored(from: disk, matrix: matrix, responseTimeout: .zero, now: 0) {
            _ in
        }
        let hangs = Atomic(true)
        let isWaiting = Atomic(false)
        disk.before { _ in
            isWaiting.store(true, ordering: .releasing)
            while hangs.load(ordering: .acquiring) { usleep(200) }
        }
        let key = LeaseKey(organization: "org", connection: "conn_1")
        let lease = try table.reserve(key, kind: sync, matrix: matrix, now: 0)
        let waiter = Task {
            while !isWaiting.load(ordering: .acquiring) { await Task.yield() }
            // Until the request waits and is sent away.
            while hangs.load(ordering: .acquiring) {
                journal.failLateWaiters(now: .now() + .seconds(11))
                await Task.yield()
            }
        }
        await #expect(throws: LeaseJournal.Unavailable()) { try await lease.waitUntilDurable() }
        hangs.store(false, ordering: .releasing)
        await waiter.value
        lease.release()
        journal.close()
    }

    @Test("LeaseJournal, thread: leases survive in a real folder, and no other user may read its files")
    func realFolder() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "gateway-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let disk = JournalFolder(path: folder.path)
        for round in 0..<3 {
            let (table, journal) = try LeaseTable.restored(from: disk, matrix: matrix, responseTimeout: .zero, now: 0) {
                _ in
            }
            #expect(table.usage().uncertain == round)
            let key = LeaseKey(organization: "org", connection: "conn_\(round)")
            let lease = try table.reserve(key, kind: sync, matrix: matrix, now: 0)
            try await lease.waitUntilDurable()
            journal.close()
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [LeaseJournal.fileName])
        let file = folder.appending(path: LeaseJournal.fileName).path
        #expect(try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int == 0o600)
        let absent = JournalFolder(path: folder.path + "/absent")
        let (_, journal) = try LeaseTable.restored(from: absent, matrix: matrix, responseTimeout: .zero, now: 0) { _ in
        }
        #expect(!journal.isAvailable)
        journal.close()
        // A folder in place of the file: nobody knows which leases there are.
        try FileManager.default.removeItem(atPath: file)
        try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: true)
        #expect(throws: JournalError.self) {
            try LeaseTable.restored(from: disk, matrix: matrix, responseTimeout: .zero, now: 0) { _ in }
        }
    }
}
