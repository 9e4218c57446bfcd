import Synchronization
import TestSupport
import Testing

@testable import Connectors

/// The journal's writer on a disk that fails, and that loses at a crash what was not synchronized.
@Suite("Journal of the connector service on a bad disk") struct JournalFaultTests {
    /// A writer with what it was told and what it confirmed.
    private final class Day {
        let disk: MemoryDisk
        var writer: ConnectorJournalWriter
        var confirmed: [JournalRecord]
        /// What compactions reported.
        var warnings: [String] = []
        /// Of the last commit.
        var outcome = CommitOutcome.committed

        init(_ disk: MemoryDisk) throws {
            self.disk = disk
            let files = JournalFiles(folder: "/journal", disk: disk)
            let recovery = try JournalRecovery.read(files, salt: 7)
            confirmed = recovery.records
            writer = try ConnectorJournalWriter(files, recovery, compactAfter: 200) { 5 }
        }

        static func record(_ number: Int) -> JournalRecord {
            .cancel(job: "job_\(number)", at: Timestamp(milliseconds: Int64(number)))
        }

        /// Commits a record, and compacts when it is due. Returns whether the record was confirmed.
        func commit(_ number: Int) -> Bool {
            let record = Self.record(number)
            outcome = writer.commit([JournalChange([record]).payload], warn: { _ in })
            guard outcome == .committed else { return false }
            confirmed.append(record)
            writer.compactIfDue({ [confirmed] in confirmed }, warn: { warnings.append($0) })
            return true
        }
    }

    private func records(on disk: MemoryDisk) throws -> [JournalRecord] {
        try JournalRecovery.read(JournalFiles(folder: "/journal", disk: disk), salt: 7).records
    }

    @Test(
        "JournalFault: a crash before any operation loses nothing confirmed, and leaves a journal that can be written",
        arguments: 0..<20)
    func crash(seed: UInt64) throws {
        let random = Mutex(SeededRandom(state: seed))
        let crashes = Mutex<[(disk: MemoryDisk, isConfirmed: Int)]>([])
        let confirmed = Mutex(0)
        let disk = MemoryDisk()
        disk.before { _ in
            let crashed = random.withLock { disk.crashed(&$0) }
            crashes.withLock { $0.append((crashed, confirmed.withLock { $0 })) }
        }
        let day = try Day(disk)
        for number in 0..<40 {
            #expect(day.commit(number))
            confirmed.withLock { $0 = number + 1 }
        }
        let all = (0..<40).map(Day.record)
        let moments = crashes.withLock { $0 }
        #expect(moments.count > 100)
        for (index, moment) in moments.enumerated() {
            let second = try Day(moment.disk)
            let found = second.confirmed
            #expect((moment.isConfirmed...moment.isConfirmed + 1).contains(found.count), "operation \(index)")
            #expect(found == Array(all.prefix(found.count)), "operation \(index)")
            #expect(second.commit(1000))
            #expect(try records(on: moment.disk.killed()) == found + [Day.record(1000)], "operation \(index)")
        }
    }

    @Test(
        "JournalFault: whichever operations fail, what was refused stays away and what was confirmed stays",
        arguments: 1...3)
    func failure(length: Int) throws {
        var number = 1
        var wasReached = true
        var random = SeededRandom(state: UInt64(length))
        while wasReached {
            let disk = MemoryDisk()
            let day = try Day(disk)
            let failing = disk.operations + number..<disk.operations + number + length
            disk.fails { failing.contains($0) }
            for number in 0..<30 { _ = day.commit(number) }
            wasReached = disk.operations >= failing.lowerBound
            disk.fails { _ in false }
            // With more failures than this in a row a frame that was refused could not be cut off yet; the next commit does it.
            #expect(day.commit(1000))
            #expect(day.confirmed.count >= 30 - length)
            #expect(try records(on: disk.killed()) == day.confirmed, "operations \(failing)")
            #expect(try records(on: disk.crashed(&random)) == day.confirmed, "operations \(failing)")
            number += 1
        }
        #expect(number > 100)
    }

    @Test("JournalFault: after one operation that failed, a crash at once finds nothing that was refused")
    func refusedRecords() throws {
        for failing in ["write", "synchronize"] {
            var random = SeededRandom(state: 1)
            let disk = MemoryDisk()
            let day = try Day(disk)
            #expect(day.commit(0))
            let failed = Mutex(false)
            disk.fails { _, name in
                failed.withLock { failed in
                    defer { failed = failed || name == failing }
                    return name == failing && !failed
                }
            }
            #expect(!day.commit(1))
            for _ in 0..<20 { #expect(try records(on: disk.crashed(&random)) == [Day.record(0)]) }
            #expect(day.commit(2))
            #expect(try records(on: disk.crashed(&random)) == [Day.record(0), Day.record(2)])
        }
    }

    @Test("JournalFault: on a full disk every commit is refused, and the first one after it succeeds")
    func fullDisk() throws {
        let disk = MemoryDisk()
        let day = try Day(disk)
        #expect(day.commit(0))
        disk.fails { _, name in ["write", "create"].contains(name) }
        for number in 1..<5 { #expect(!day.commit(number)) }
        #expect(try records(on: disk.killed()) == [Day.record(0)])
        disk.fails { _ in false }
        #expect(day.commit(5))
        #expect(try records(on: disk.killed()) == [Day.record(0), Day.record(5)])
    }

    @Test(
        "JournalFault: after a rename that failed and took effect all the same, nothing confirmed is lost",
        arguments: 0..<10)
    func lostRename(seed: UInt64) throws {
        var random = SeededRandom(state: seed)
        let disk = MemoryDisk()
        let day = try Day(disk)
        disk.losesAnswer(of: "rename")
        for number in 0..<30 {
            _ = day.commit(number)
            #expect(try records(on: disk.killed()) == day.confirmed, "record \(number)")
            #expect(try records(on: disk.crashed(&random)) == day.confirmed, "record \(number)")
        }
        #expect(day.confirmed.count == 30)
        disk.losesAnswer(of: nil)
        for number in 30..<60 { #expect(day.commit(number)) }
        #expect(try JournalRecovery.read(JournalFiles(folder: "/journal", disk: disk.killed()), salt: 7).generation > 1)
        #expect(try records(on: disk.crashed(&random)) == day.confirmed)
    }

    @Test("JournalFault: while it is open which snapshot counts, no operation that fails lets the wrong journal grow")
    func lostRenameThenFailure() throws {
        for number in 1...60 {
            var random = SeededRandom(state: UInt64(number))
            let disk = MemoryDisk()
            let day = try Day(disk)
            disk.losesAnswer(of: "rename")
            let failing = disk.operations + number..<disk.operations + number + 3
            disk.fails { failing.contains($0) }
            for number in 0..<20 {
                _ = day.commit(number)
                // What was refused and could not be cut off yet may be there.
                let found = try records(on: disk.crashed(&random)).filter { day.confirmed.contains($0) }
                #expect(found == day.confirmed, "operations \(failing)")
            }
            disk.losesAnswer(of: nil)
            disk.fails { _ in false }
            #expect(day.commit(1000))
            #expect(try records(on: disk.killed()) == day.confirmed, "operations \(failing)")
        }
    }

    @Test("JournalFault: a compaction that fails leaves nothing of the new generation behind")
    func failedCompaction() throws {
        var number = 1
        var wasReached = true
        while wasReached {
            let disk = MemoryDisk()
            let day = try Day(disk)
            let failing = disk.operations + number
            disk.fails { $0 == failing }
            for number in 0..<15 {
                _ = day.commit(number)
                let names = try disk.killed().names()
                #expect(names.contains("snapshot-2") || names == ["journal-1"], "operation \(failing)")
            }
            wasReached = disk.operations >= failing
            number += 1
        }
        #expect(number > 40)
    }

    @Test("JournalFault: a compaction that cannot be made and one whose old files stay are reported differently")
    func warnings() throws {
        for (failing, message, isCompacted) in [
            ("rename", "the journal cannot be compacted and keeps growing: ", false),
            ("remove", "the journal's old files cannot be removed, and take space until the next start: ", true),
        ] {
            let disk = MemoryDisk()
            let day = try Day(disk)
            disk.fails { _, name in name == failing }
            for number in 0..<15 { _ = day.commit(number) }
            #expect(!day.warnings.isEmpty && day.warnings.allSatisfy { $0.hasPrefix(message) }, "\(day.warnings)")
            let names = try disk.killed().names()
            #expect(names.contains("snapshot-2") == isCompacted && names.contains("journal-1"), "\(failing)")
            disk.fails { _ in false }
            #expect(try records(on: disk.killed()) == day.confirmed, "\(failing)")
        }
    }

    @Test("JournalFault: new files whose names are not durable yet are reported as that")
    func namesNotDurable() throws {
        let disk = MemoryDisk()
        let day = try Day(disk)
        let isRenamed = Mutex(false)
        disk.fails { _, name in
            isRenamed.withLock { isRenamed in
                isRenamed = isRenamed || name == "rename"
                return isRenamed && name == "synchronize names"
            }
        }
        for number in 0..<15 { _ = day.commit(number) }
        #expect(day.warnings.count == 1)
        #expect(day.warnings.first?.hasPrefix("the names of the journal's new files are not durable yet; ") ?? false)
        #expect(day.outcome == .notCommitted, "nothing is written to files that a crash could lose")
        disk.fails { _ in false }
        #expect(day.commit(100))
        #expect(try records(on: disk.killed()) == day.confirmed)
    }

    @Test(
        "JournalFault: what cannot be cut off again may come true at a crash, and only until something else is committed"
    )
    func unknownOutcome() throws {
        let disk = MemoryDisk()
        let day = try Day(disk)
        #expect(day.commit(0))
        disk.fails { _, name in name == "synchronize" || name == "truncate" }
        #expect(!day.commit(1) && day.outcome == .unknown)
        #expect(try records(on: disk.killed()) == [Day.record(0), Day.record(1)])
        // Nothing is written behind it.
        for number in 2..<5 { #expect(!day.commit(number) && day.outcome == .notCommitted) }
        #expect(try records(on: disk.killed()) == [Day.record(0), Day.record(1)])
        disk.fails { _ in false }
        #expect(day.commit(5))
        #expect(try records(on: disk.killed()) == [Day.record(0), Day.record(5)])
    }
}
