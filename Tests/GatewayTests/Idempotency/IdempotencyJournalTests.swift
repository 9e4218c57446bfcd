import Policy
import TestSupport
import Testing
import Transport

@testable import Gateway

private let sync = LeaseKind(index: 0, name: "sync", lifetime: .job)
private let matrix = ConcurrencyMatrix(kinds: [sync], conflicts: [[0]])
private let connection = LeaseKey(organization: "org", connection: "c")
private let job = LeaseJob(id: "job", type: "sync", status: "running", startedAt: 7, location: "/jobs/job")

private let owner = LeaseOwner(subject: "s", token: "org/t", operation: "o", fingerprint: nil)

private func work(_ generation: UInt64) -> IdempotencyWork {
    IdempotencyWork(lease: connection, generation: generation, kind: "sync", family: .aitronos)
}

@Suite("Idempotency journal")
struct IdempotencyJournalTests {
    @Test("IdempotencyJournal: a record is read as it was written, with any body")
    func roundTrip() {
        let response = StoredResponse(
            status: 201, contentType: "application/json; charset=utf-8",
            fields: [.init("Location", "/a\"\n\\"), .init("ETag", "")],
            body: Array(0...255) + [0x0A, 0x0A], errorCode: nil)
        let refused = StoredResponse(status: 422, contentType: "", fields: [], body: [], errorCode: "VALIDATION_ERROR")
        for state in [
            .started, .uncertain, .resolved(job), .completed(response), .completed(response.withoutBody),
            .completed(refused),
        ] as [IdempotencyState] {
            for work in [work(.max >> 1), nil] {
                let entry = IdempotencyJournalRecord(
                    serial: 3, id: keyed.id, organization: "org~", fingerprint: RequestFingerprint(high: 5, low: .max),
                    openedAt: 6, expiresAt: 9,
                    work: work.map {
                        IdempotencyWork(
                            lease: LeaseKey(organization: "org~", connection: "c"), generation: $0.generation,
                            kind: $0.kind,
                            family: $0.family)
                    }, state: state)
                #expect(IdempotencyChange(IdempotencyChange.kept(entry).record().span) == .kept(entry))
            }
        }
        #expect(IdempotencyChange(IdempotencyChange.dropped(7).record().span) == .dropped(7))
    }

    @Test(
        "IdempotencyJournal: a record whose state is not understood is uncertain, and one without an identity is skipped"
    )
    func unknownState() throws {
        let entry = IdempotencyJournalRecord(
            serial: 3, id: keyed.id, organization: "o", fingerprint: keyed.fingerprint, openedAt: 6, expiresAt: 9,
            work: nil,
            state: .completed(.ok()))
        let text = String(decoding: IdempotencyChange.kept(entry).record(), as: UTF8.self)
        for (old, new) in [
            ("completed", "another"), ("\"status\":200", "\"status\":\"x\""), ("\"fields\"", "\"other\""),
        ] {
            let changed = IdempotencyChange(Array(text.replacing(old, with: new).utf8).span)
            guard case .kept(let read) = changed else { return #expect(Bool(false), "\(new) was skipped") }
            #expect(read.state == .uncertain)
        }
        #expect(IdempotencyChange(Array(text.replacing("\"id\"", with: "\"no\"").utf8).span) == nil)
        #expect(IdempotencyChange(Array("{".utf8).span) == nil)
    }

    /// A table over this disk, whose journal is written by the test.
    private func table(_ disk: MemoryDisk, _ leases: LeaseTable = LeaseTable(), now: Moment = 100) throws
        -> IdempotencyTable
    {
        let entries = try IdempotencyJournal.recover(from: disk) { _ in }
        let table = IdempotencyTable(
            capacityBytes: 1 << 20, journal: IdempotencyJournal(disk: disk, minCompaction: 4000) { _ in })
        for entry in entries { table.restore(entry, leases, now: now) }
        table.journal?.writePending()
        return table
    }

    private func disk() -> MemoryDisk { MemoryDisk(name: IdempotencyJournal.fileName) }

    @Test("IdempotencyJournal: a final response is found after a crash, until its time is over")
    func completed() throws {
        let disk = disk()
        let first = try table(disk)
        let record = try #require(first.opened())
        record.begin(nil, follower: nil)
        record.conclude(.responded(.ok()))
        first.journal?.writePending()
        let second = try table(disk.killed(), now: 50_000)
        guard case .response(let response) = second.find(keyed, now: Moment(50_000).instant) else {
            return #expect(Bool(false), "no response")
        }
        #expect(response == .ok())
        #expect(second.word(now: 60_001) == nil)
        #expect(try table(disk.killed(), now: 60_000).word(now: 60_000) == nil)
    }

    @Test(
        "IdempotencyJournal: a request in progress at a crash is never executed again; without a lease nobody can tell")
    func crash() throws {
        let disk = disk()
        let first = try table(disk)
        let record = try #require(first.opened())
        record.begin(work(1), follower: LeaseWaiter(loop: nil))
        first.journal?.writePending()
        let second = try table(disk.killed())
        #expect(second.word() == "unknown" && second.opened() == nil)
        record.conclude(.lost)
    }

    @Test("IdempotencyJournal: after a crash the lease tells what became of the request")
    func leases() throws {
        for isJob in [true, false] {
            let disk = disk()
            let first = try table(disk)
            let record = try #require(first.opened())
            record.begin(work(5), follower: LeaseWaiter(loop: nil))
            first.journal?.writePending()
            let leases = LeaseTable(shardCount: 1)
            leases.restore(
                LeaseJournalRecord(
                    serial: 1, generation: 5, key: connection, kind: "sync", family: .aitronos, since: 50, job: nil,
                    owner: owner),
                matrix: matrix, now: 100)
            let next = disk.killed()
            let second = try table(next, leases)
            #expect(second.word() == "uncertain" && second.opened() == nil)
            let polled = leases.polledLeases()[0]
            _ = leases.resolve(
                connection, polled.serial, jobs: isJob ? [job] : [], mayFree: true, asOf: leases.revision(), now: 200)
            #expect(second.word() == (isJob ? "job" : nil))
            second.journal?.writePending()
            // The next process needs no lease any more.
            #expect(try table(next.killed()).word() == (isJob ? "job" : nil))
            record.conclude(.lost)
        }
    }

    @Test("IdempotencyJournal: the job of somebody else, for which the upstream refused the request, is not its job")
    func adopted() throws {
        let leases = LeaseTable(shardCount: 1)
        // The crash lost the removal of the record, and not the adoption.
        leases.restore(
            LeaseJournalRecord(
                serial: 1, generation: 5, key: connection, kind: "sync", family: .aitronos, since: 50, job: job),
            matrix: matrix, now: 100)
        #expect(leases.follow(work(5), openedAt: 50) == nil)
        #expect(leases.follow(work(5), openedAt: nil) == nil)
        // Another generation: the lease was made for a job that runs since before the process.
        #expect(leases.follow(work(4), openedAt: 50)?.current == .job(job))
    }

    @Test("IdempotencyJournal: a lease that once had a guess does not take a job for nothing, also after a crash")
    func guessed() throws {
        let leases = LeaseTable(shardCount: 1)
        leases.restore(
            LeaseJournalRecord(
                serial: 1, generation: 5, key: connection, kind: "sync", family: .aitronos, since: 50, job: nil,
                hadGuess: true, owner: owner),
            matrix: matrix, now: 100)
        let found = try #require(leases.follow(work(5), openedAt: 50))
        let serial = leases.polledLeases()[0].serial
        _ = leases.resolve(connection, serial, jobs: [], mayFree: true, asOf: leases.revision(), now: 200)
        #expect(found.current == .unknown)
    }

    @Test("IdempotencyJournal: a request that shares the job of another one keeps it, over a crash")
    func shared() throws {
        let disk = disk()
        let first = try table(disk)
        try #require(first.opened()).resolve(job, of: work(5))
        #expect(first.word() == "job" && first.opened() == nil)
        first.journal?.writePending()
        #expect(try table(disk.killed()).word() == "job")
    }

    @Test("IdempotencyJournal: a job that began and ended while its response was lost is the one of the request")
    func endedMeanwhile() throws {
        let leases = LeaseTable(shardCount: 1)
        let follower = LeaseWaiter(loop: nil)
        leases.restore(
            LeaseJournalRecord(
                serial: 1, generation: 5, key: connection, kind: "sync", family: .aitronos, since: 50, job: nil,
                owner: owner),
            matrix: matrix, now: 100)
        let found = try #require(leases.follow(work(5), openedAt: 50))
        let ended = LeaseJob(id: "over", type: "sync", status: "completed", startedAt: 60)
        let serial = leases.polledLeases()[0].serial
        let resolution = leases.resolve(
            connection, serial, jobs: [ended], mayFree: true, asOf: leases.revision(), now: 200)
        #expect(resolution == .freed)
        #expect(found.current == .job(ended))
        #expect(follower.current == nil)
    }

    @Test("IdempotencyJournal: a disk that fails refuses new records and keeps the old ones")
    func failing() throws {
        let disk = disk()
        let table = try table(disk)
        let record = try #require(table.opened())
        record.begin(nil, follower: nil)
        record.conclude(.responded(.ok()))
        table.journal?.writePending()
        disk.fails(every: "write")
        let second = try #require(table.opened(IdempotencyClaim(number: 2)))
        second.begin(nil, follower: nil)
        table.journal?.writePending()
        guard case .refused(.unavailable) = table.open(IdempotencyClaim(number: 3), now: 0) else {
            return #expect(Bool(false), "a record was opened")
        }
        #expect(table.word() == "response")
        second.conclude(.foundNothing)
        disk.fails { (_: Int) in false }
        table.journal?.retry()
        table.journal?.writePending()
        #expect(table.opened(IdempotencyClaim(number: 3)) != nil)
    }

    @Test("IdempotencyJournal: after a crash at any byte no confirmed record is lost")
    func crashes() async throws {
        var random = SeededRandom(state: 7)
        for _ in 0..<200 {
            let disk = disk()
            let table = try table(disk)
            var confirmed = 0
            for number in 0..<Int.random(in: 1...12, using: &random) {
                let record = try #require(table.opened(IdempotencyClaim(number: number)))
                record.begin(nil, follower: nil)
                if Bool.random(using: &random) { record.conclude(.responded(.ok([UInt8](repeating: 5, count: 900)))) }
                if Bool.random(using: &random) {
                    table.journal?.writePending()
                    confirmed = number + 1
                }
            }
            let next = try self.table(disk.crashed(&random))
            for number in 0..<confirmed { #expect(next.word(IdempotencyClaim(number: number)) != nil) }
        }
    }
}
