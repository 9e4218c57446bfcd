import Foundation
import Journal
import Synchronization
import TestSupport
import Testing

@testable import Connectors

@Suite struct JournalTests {
    private static let key = ConnectionKey(organization: "org", id: "conn")

    private static func job(_ number: Int) -> Job {
        var job = Job(
            id: "job_\(number)", connection: key, kind: .refresh, streams: ["users", "orders"], removesRecords: true,
            createdAt: Timestamp(milliseconds: 1000 + Int64(number)))
        if number % 2 == 0 { _ = job.started(at: Timestamp(milliseconds: 2000)) }
        if number % 4 == 0 {
            job.checkpointed(
                .init(rows: number, bytes: 1 << 40, inserted: 1, updated: 2, deleted: 3), finishedStream: true,
                at: Timestamp(milliseconds: 3000))
            _ = job.ended(.failed, failure: "no luck", at: Timestamp(milliseconds: 4000))
        }
        return job
    }

    /// One record of every kind, with unusual values.
    static let samples: [JournalRecord] = [
        .job(job(1)), .job(job(2)), .job(job(4)), .cancel(job: "job_1", at: Timestamp(milliseconds: -1)),
        .position(key, stream: "users", StreamPosition(generation: 7, length: Int.max)),
        .cursors(key, .notSet),
        .cursors(
            key,
            CursorState(
                kind: .legacy, members: [.init(name: "\u{E9}", json: Array(#"{"cursor":9007199254740993}"#.utf8))])),
    ]

    @Test("Connector journal: a record is read as it was written", arguments: samples)
    func roundTrip(record: JournalRecord) throws {
        var writer = RecordWriter()
        record.encode(into: &writer)
        #expect(try JournalRecord.decodeAll(writer.bytes[...]) == [record])
        for end in 1..<writer.bytes.count {
            #expect(throws: RecordError.self) { try JournalRecord.decodeAll(writer.bytes[..<end]) }
        }
    }

    @Test("Connector journal: no byte of a record, changed, makes the reader trap", arguments: samples)
    func mutation(record: JournalRecord) {
        var writer = RecordWriter()
        record.encode(into: &writer)
        for index in writer.bytes.indices {
            for change in [0x01, 0x80, 0xFF] as [UInt8] {
                var bytes = writer.bytes
                bytes[index] ^= change
                _ = try? JournalRecord.decodeAll(bytes[...])
            }
        }
    }

    /// A journal file of `frames` frames of one record each, and where each frame ends.
    private func file(frames: Int) -> (bytes: [UInt8], ends: [Int]) {
        var bytes = JournalHeader(salt: 42).encoded()
        var ends: [Int] = []
        for number in 0..<frames {
            var writer = RecordWriter()
            Self.samples[number % Self.samples.count].encode(into: &writer)
            JournalFrame.append(writer.bytes, at: bytes.count, salt: 42, to: &bytes)
            ends.append(bytes.count)
        }
        return (bytes, ends)
    }

    private func recover(_ bytes: [UInt8]) throws -> JournalRecovery {
        try recover(from: MemoryDisk(files: ["journal-1": bytes]))
    }

    private func recover(from disk: MemoryDisk) throws -> JournalRecovery {
        try JournalRecovery.read(JournalFiles(folder: "/journal", disk: disk), salt: 7)
    }

    @Test(
        "Connector journal: a journal cut off at any byte gives back every whole frame, and warns if there was a part of one"
    )
    func everyCut() throws {
        let (bytes, ends) = file(frames: 7)
        for cut in 0...bytes.count {
            let recovery = try recover(Array(bytes[..<cut]))
            let whole = ends.count { $0 <= cut }
            #expect(recovery.records == Array(Self.samples.prefix(whole)), "cut at \(cut)")
            let isClean = cut == JournalHeader.size || ends.contains(cut)
            #expect(recovery.warnings.isEmpty == isClean, "cut at \(cut)")
            #expect(recovery.length == (whole == 0 ? JournalHeader.size : ends[whole - 1]))
        }
    }

    @Test("Connector journal: a changed byte before the last frame is a refusal that names the file and the offset")
    func damagedMiddle() throws {
        let (bytes, ends) = file(frames: 4)
        for index in 0..<ends[2] {
            var damaged = bytes
            damaged[index] ^= 0x10
            let frame = ([JournalHeader.size] + ends).last { $0 <= index }
            let refusal = #expect(throws: JournalRefusal.self) { try recover(damaged) }
            #expect(
                refusal?.description.hasPrefix("/journal/journal-1 is damaged at offset \(frame ?? 0);") == true,
                "byte \(index): \(refusal?.description ?? "")")
        }
    }

    @Test("Connector journal: a changed byte of the last frame costs that frame only, with a warning, or is a refusal")
    func damagedEnd() throws {
        let (bytes, ends) = file(frames: 4)
        for index in ends[2]..<ends[3] {
            var damaged = bytes
            damaged[index] ^= 0x10
            guard let recovery = try? recover(damaged) else { continue }
            #expect(recovery.records == Array(Self.samples.prefix(3)))
            #expect(recovery.warnings.count == 1)
        }
    }

    @Test("Connector journal: a header is torn where it ends in zeros or is cut, and damaged anywhere else")
    func damagedHeader() throws {
        let header = JournalHeader(salt: 42).encoded()
        for end in 0...16 {
            let torn = Array(header[..<end]) + Array(repeating: 0, count: header.count - end)
            #expect(try recover(torn).warnings.count == 1, "zeros from \(end)")
        }
        for end in 1..<header.count {
            #expect(try recover(Array(header[..<end])).warnings.count == 1, "cut at \(end)")
            let foreign = Array("no journal of this service".utf8)[..<end]
            #expect(throws: JournalRefusal.self, "\(end) foreign bytes") { try recover(Array(foreign)) }
        }
        for index in header.indices {
            var damaged = header
            damaged[index] ^= 0x10
            #expect(throws: JournalRefusal.self, "byte \(index)") { try recover(damaged) }
        }
    }

    @Test("Connector journal: a frame that stands inside a field is not taken for one")
    func smuggledFrame() throws {
        var payload: [UInt8] = []
        var writer = RecordWriter()
        Self.samples[0].encode(into: &writer)
        JournalFrame.append(writer.bytes, at: 0, salt: 0, to: &payload)
        var (bytes, _) = file(frames: 2)
        let end = bytes.count
        var outer = RecordWriter()
        JournalRecord.cursors(Self.key, CursorState(kind: .legacy, members: [.init(name: "x", json: payload)]))
            .encode(into: &outer)
        JournalFrame.append(outer.bytes, at: end, salt: 42, to: &bytes)
        let recovery = try recover(Array(bytes.dropLast()))
        #expect(recovery.length == end)
        #expect(recovery.warnings.count == 1)
    }

    @Test("Connector journal: a missing snapshot or journal is a refusal, not an empty start")
    func missingFiles() throws {
        let (bytes, _) = file(frames: 2)
        let noSnapshot = #expect(throws: JournalRefusal.self) {
            try recover(from: MemoryDisk(files: ["journal-3": bytes]))
        }
        #expect(noSnapshot?.description.contains("snapshot-3 is missing") == true)

        var snapshot = JournalHeader(salt: 9).encoded()
        JournalFrame.append([], at: snapshot.count, salt: 9, to: &snapshot)
        let complete = snapshot
        let noJournal = #expect(throws: JournalRefusal.self) {
            try recover(from: MemoryDisk(files: ["snapshot-3": complete]))
        }
        #expect(noJournal?.description.contains("journal-3 is missing") == true)
    }

    @Test("Connector journal: a snapshot that lacks any of its bytes is a refusal")
    func cutSnapshot() throws {
        var snapshot = JournalHeader(salt: 9).encoded()
        var writer = RecordWriter()
        for sample in Self.samples { sample.encode(into: &writer) }
        JournalFrame.append(writer.bytes, at: snapshot.count, salt: 9, to: &snapshot)
        JournalFrame.append([], at: snapshot.count, salt: 9, to: &snapshot)
        let (journal, _) = file(frames: 1)
        for cut in 0...snapshot.count {
            let disk = MemoryDisk(files: ["snapshot-2": Array(snapshot[..<cut]), "journal-2": journal])
            guard cut == snapshot.count else {
                #expect(throws: JournalRefusal.self) { try recover(from: disk) }
                continue
            }
            let recovery = try recover(from: disk)
            #expect(recovery.records == Self.samples + Self.samples.prefix(1))
        }
    }

    @Test("Connector journal: what many appended at once is there after reopening, in order, across compactions")
    func groupCommit() async throws {
        let disk = MemoryDisk()
        let kept = Mutex<[JournalRecord]>([])
        let groups = Mutex(0)
        let journal = try ConnectorJournal(
            JournalFiles(folder: "/journal", disk: disk), try recover(from: disk), compactAfter: 4096, random: { 5 },
            warn: { Issue.record("\($0)") },
            apply: { records in
                kept.withLock { $0 += records.joined() }
                groups.withLock { $0 += 1 }
            }, snapshot: { kept.withLock { $0 } })
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<2000 {
                group.addTask {
                    let outcome = await withCheckedContinuation { continuation in
                        let record = JournalRecord.cancel(job: "job_\(number)", at: Timestamp(milliseconds: 1))
                        _ = journal.append(JournalChange([record])) { continuation.resume(returning: $0) }
                    }
                    #expect(outcome == .committed)
                }
            }
        }
        journal.close()
        #expect(!journal.append(JournalChange([])) { _ in })
        let again = try recover(from: disk.killed())
        #expect(again.generation > 1)
        #expect(again.records == kept.withLock { $0 })
        #expect(again.records.count == 2000)
    }

    @Test("Connector journal: a journal that is opened often and grows little each time is compacted too")
    func shortLives() async throws {
        let disk = MemoryDisk()
        var generation = 1
        for life in 0..<40 {
            let recovery = try recover(from: disk)
            #expect(recovery.records.count == life)
            generation = recovery.generation
            let kept = Mutex(recovery.records)
            let journal = try ConnectorJournal(
                JournalFiles(folder: "/journal", disk: disk), recovery, compactAfter: 200, random: { 5 },
                warn: { Issue.record("\($0)") }, apply: { records in kept.withLock { $0 += records.joined() } },
                snapshot: { kept.withLock { $0 } })
            let outcome = await withCheckedContinuation { continuation in
                let record = JournalRecord.cancel(job: "job_\(life)", at: Timestamp(milliseconds: 1))
                _ = journal.append(JournalChange([record])) { continuation.resume(returning: $0) }
            }
            #expect(outcome == .committed)
            journal.close()
        }
        #expect(generation > 3)
    }

    @Test("Connector journal: on a disk that hangs the queue is bounded, and each change gets one result")
    func hangingDisk() throws {
        let disk = HeldDisk()
        let kept = Mutex<[JournalRecord]>([])
        let journal = try ConnectorJournal(
            JournalFiles(folder: "/journal", disk: disk.disk), try recover(from: disk.disk), compactAfter: 4096,
            queueLimits: QueueLimits(elements: 100, bytes: 1000), random: { 5 }, warn: { Issue.record("\($0)") },
            apply: { records in kept.withLock { $0 += records.joined() } }, snapshot: { kept.withLock { $0 } })
        let told = Mutex<[Int: [CommitOutcome]]>([:])
        let deadline = ContinuousClock.now + .seconds(3600)
        func append(_ number: Int, isHurried: Bool) -> Bool {
            let record = JournalRecord.cancel(job: "job_\(number)", at: Timestamp(milliseconds: 1))
            return journal.append(JournalChange([record]), until: isHurried ? deadline : nil) { outcome in
                told.withLock { $0[number, default: []].append(outcome) }
            }
        }
        disk.hold()
        #expect(append(0, isHurried: true))
        try waitUntil("the disk hangs") { disk.isHolding }
        let queued = (1...1000).filter { append($0, isHurried: $0 % 2 == 0) }
        #expect(queued.count > 50 && queued.count <= 100)
        journal.withdraw(at: deadline - .seconds(1))
        #expect(told.withLock { $0.isEmpty })
        journal.withdraw(at: deadline)
        // What the thread has taken is with the disk; what has no deadline waits for it.
        let withdrawn = queued.filter { $0 % 2 == 0 }
        #expect(told.withLock { $0 } == Dictionary(uniqueKeysWithValues: withdrawn.map { ($0, [.notCommitted]) }))
        #expect(append(2000, isHurried: false))
        disk.release()
        journal.close()
        let committed = [0] + queued.filter { $0 % 2 == 1 } + [2000]
        for number in committed { #expect(told.withLock { $0[number] } == [.committed]) }
        for number in withdrawn { #expect(told.withLock { $0[number] } == [.notCommitted]) }
        let records = committed.map { JournalRecord.cancel(job: "job_\($0)", at: Timestamp(milliseconds: 1)) }
        #expect(kept.withLock { $0 } == records)
        #expect(try recover(from: disk.disk.killed()).records == records)
    }

    @Test("Connector journal: a change that is too long for a frame is refused, whatever else waits")
    func longChange() throws {
        let disk = MemoryDisk()
        let journal = try ConnectorJournal(
            JournalFiles(folder: "/journal", disk: disk), try recover(from: disk), compactAfter: 4096,
            random: { 5 }, warn: { Issue.record("\($0)") }, apply: { _ in }, snapshot: { [] })
        let json = [UInt8](repeating: UInt8(ascii: "1"), count: JournalChange.maxBytes)
        let state = CursorState(kind: .legacy, members: [.init(name: "users", json: json)])
        #expect(!journal.append(JournalChange([.cursors(Self.key, state)])) { Issue.record("told \($0)") })
        journal.close()
        #expect(try recover(from: disk.killed()).records.isEmpty)
    }

    @Test("Connector journal: the state of the longest body fits into a change, however many names it has")
    func longestBody() throws {
        var members: [CursorState.Member] = []
        var length = 2
        // The shortest members take the most beside their own bytes.
        while length + 24 < ConnectorRequest.maxBodyBytes, members.count < 200_000 {
            members.append(.init(name: "\(members.count)", json: [UInt8(ascii: "1")]))
            length += members[members.count - 1].name.utf8.count + 5
        }
        let rest = [UInt8](repeating: UInt8(ascii: "1"), count: ConnectorRequest.maxBodyBytes - length - 5)
        members.append(.init(name: "", json: rest))
        let state = CursorState(kind: .legacy, members: members)
        let change = JournalChange([.cursors(Self.key, state)])
        #expect(change.payload.count <= JournalChange.maxBytes)
        #expect(state.rendered().count >= ConnectorRequest.maxBodyBytes)
        #expect(JournalChange.maxBytes <= JournalFrame.limit)
    }
}
