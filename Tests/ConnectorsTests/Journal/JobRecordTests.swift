import Foundation
import JSON
import Journal
import Testing

@testable import Connectors

/// What the journal says of a job that begins.
@Suite("Records of a job") struct JobRecordTests {
    private func jobs(_ directory: String) throws -> [Job] {
        let path = "\(directory)/connectors/journal"
        let file = try #require(try JournalFolder(path: path).contents(of: "journal-1"))
        let header = try #require(JournalHeader(file))
        return try JournalFrame.beginning(of: file, salt: header.salt).payloads.flatMap { payload in
            try JournalRecord.decodeAll(file[payload]).compactMap { if case .job(let job) = $0 { job } else { nil } }
        }
    }

    @Test("JobRecord: a sync is in the journal once before its first rows, as running, while its answer says pending")
    func oneRecord() async throws {
        let directory = try Small.directory(rowsPerSecond: 1)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let bench = try Bench(Small.options(directory))
        let answer = await bench.trigger()
        #expect(answer["status"]?.string == "pending")
        let first = try #require(try jobs(directory).first)
        #expect(first.id == answer.startedJob?.id && first.status == .running && first.startedAt == first.createdAt)
        #expect(try jobs(directory).count { $0.counters.rows == 0 } == 1)
        #expect(bench.events.count == 1)
        await bench.service.shutdown()
    }

    @Test("JobRecord: a sync that an older version wrote as pending goes on after a start")
    func olderForm() async throws {
        let directory = try Small.directory(rowsPerSecond: 1_000_000)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = "\(directory)/connectors/journal"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let job = Job(
            id: "job_1", connection: ConnectionKey(organization: Bench.organization, id: "conn_abc123"), kind: .sync,
            streams: ["users", "orders"], createdAt: Timestamp(milliseconds: 1))
        var writer = RecordWriter()
        JournalRecord.job(job).encode(into: &writer)
        var file = try JournalAppender(
            creating: "journal-1", on: JournalFolder(path: path), salt: 3, records: [writer.bytes])
        try file.synchronize()
        let bench = try Bench(Small.options(directory))
        #expect(try await bench.end(of: "job_1")["status"]?.string == "succeeded")
        await bench.service.shutdown()
        let statuses = try jobs(directory).map(\.status)
        #expect(statuses.first == .pending && statuses.contains(.running) && statuses.last == .succeeded)
    }
}
