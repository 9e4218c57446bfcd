import Journal
import TestSupport
import Testing
import Transport

@Suite("Journal of one file")
struct JournalFileWriterTests {
    private func records(_ disk: MemoryDisk) throws -> [[UInt8]]? {
        try JournalContents.read("leases.journal", from: disk.killed())?.records.map { Array($0) }
    }

    @Test(
        "JournalFileWriter: a compaction that fails before the new file has its name is put off, and no request fails")
    func failedCompaction() throws {
        let disk = MemoryDisk()
        var queue = JournalState(minCompaction: 100)
        var writer = JournalFileWriter(disk: disk, name: "leases.journal") { 1 }
        func step() -> Bool {
            let step = queue.beginStep()
            let isDone = (try? writer.write(step)) != nil
            queue.ended(step, succeeded: isDone, fileBytes: writer.bytes)
            return isDone
        }
        #expect(step())
        for name in ["create", "rename"] {
            disk.fails(every: name)
            for round in 0..<20 {
                let last = queue.remove(UInt64(round), [UInt8](repeating: 1, count: 60))
                // What comes of a rename that failed nobody knows, so that both files are given up.
                guard step() else {
                    #expect(name == "rename" && !queue.isAvailable)
                    break
                }
                #expect(queue.isAvailable && queue.isDurable(last))
            }
            #expect(
                writer.bytes
                    == (name == "create" ? JournalHeader.size + 20 * (JournalFrame.headSize + 60) : writer.bytes))
            disk.fails { _ in false }
            queue.mend()
            #expect(step() && queue.isAvailable)
        }
    }

    @Test("JournalFileWriter: after a failed append only a new file is written to")
    func failedAppend() throws {
        let disk = MemoryDisk()
        var writer = JournalFileWriter(disk: disk, name: "leases.journal") { 1 }
        let whole = JournalState.Step(records: [], snapshot: [1: [1, 2]], needsSnapshot: true, position: 1)
        let more = JournalState.Step(records: [[3]], snapshot: nil, needsSnapshot: false, position: 2)
        try writer.write(whole)
        try writer.write(more)
        #expect(try records(disk) == [[1, 2], [3]])
        disk.fails(every: "synchronize")
        #expect(throws: SystemError.self) { try writer.write(more) }
        disk.fails { _ in false }
        #expect(throws: SystemError.self) { try writer.write(more) }
        try writer.write(whole)
        try writer.write(more)
        #expect(try records(disk) == [[1, 2], [3]])
    }

    @Test("JournalFileWriter: a disk that hangs does not make the journal grow without bound, and loses nothing")
    func overflow() throws {
        var queue = JournalState(minCompaction: 1 << 20)
        queue.ended(queue.beginStep(), succeeded: true, fileBytes: 0)
        // The disk is busy with this for a long time.
        let slow = queue.beginStep()
        let frame = [UInt8](repeating: 1, count: 1 << 20)
        var last: UInt64 = 0
        for _ in 0..<40 { last = queue.set(1, frame) }
        #expect(!queue.isAvailable)
        queue.ended(slow, succeeded: true, fileBytes: 0)
        #expect(!queue.isAvailable && !queue.isDurable(last))
        queue.mend()
        #expect(queue.hasWork)
        let whole = queue.beginStep()
        #expect(whole.snapshot == [1: frame] && whole.records.isEmpty)
        _ = queue.remove(1, [2])
        queue.ended(whole, succeeded: true, fileBytes: frame.count)
        #expect(queue.isAvailable && queue.isDurable(last) && queue.beginStep().records == [[2]])
    }

    @Test(
        "JournalFileWriter: a new file that is not finished is removed, also one that another process left",
        arguments: ["create", "write", "synchronize", "rename"])
    func unfinishedFile(failing: String) throws {
        let disk = MemoryDisk(files: ["leases.journal": [1], "leases.journal.new": [2]])
        var writer = JournalFileWriter(disk: disk, name: "leases.journal") { 1 }
        let whole = JournalState.Step(records: [], snapshot: [1: [1, 2]], needsSnapshot: true, position: 1)
        disk.fails(every: failing)
        #expect(throws: SystemError.self) { try writer.write(whole) }
        #expect(try disk.killed().names() == ["leases.journal"])
    }
}
