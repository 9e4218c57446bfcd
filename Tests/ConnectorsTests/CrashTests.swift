import Foundation
import JSON
import Journal
import Synchronization
import Testing

@testable import Connectors

/// A crash at every moment of a day's work: what was acknowledged is there, and no row is lost or doubled.
@Suite struct CrashTests {
    /// A copy of the state directory as it was before one operation, with what clients had been told by then.
    struct Moment: Sendable {
        let directory: String
        let operation: String
        let acknowledged: [String]
        let cancelled: [String]
    }

    final class Witness: Sendable {
        struct Told {
            var acknowledged: [String] = []
            var cancelled: [String] = []
            var moments: [Moment] = []
        }

        let told = Mutex(Told())
    }

    @Test(
        "Connector service, crash: after a crash before any write, fsync or rename, nothing acknowledged is lost and no row is doubled"
    )
    func everyMoment() async throws {
        let directory = try Small.directory()
        let copies = Bench.newDirectory()
        let witness = Witness()
        let storage = TrappedStorage()
        var options = Small.options(directory, storage: storage)
        options.compactionBytes = 2500
        storage.set { number, what throws(StorageError) in
            let copy = "\(copies)/\(number)"
            try? FileManager.default.copyItem(atPath: directory, toPath: copy)
            witness.told.withLock {
                let moment = Moment(
                    directory: copy, operation: what, acknowledged: $0.acknowledged, cancelled: $0.cancelled)
                $0.moments.append(moment)
            }
        }
        let bench = try Bench(options)
        func acknowledge(_ answer: Answer) async throws -> String {
            let id = try #require(answer.startedJob?.id, "\(answer.text)")
            witness.told.withLock { $0.acknowledged.append(id) }
            return id
        }
        let connection = "\(Bench.prefix)/connections/conn_abc123"
        _ = try await bench.end(of: try await acknowledge(await bench.trigger()))
        // Newer versions of some rows, and new rows.
        let more = Small.rows("user", 21...40, version: 2, at: 1000) + Small.rows("user", 131...150, at: 1000)
        let users = Small.rows("user", 1...Small.users) + more
        try Small.write(users, "\(directory)/source/users.ndjson")
        _ = try await bench.end(of: try await acknowledge(await bench.trigger()))
        let refresh = await bench.send(
            "POST", "\(connection)/refresh", #"{"streams":["orders"],"remove_records":true}"#)
        _ = try await bench.end(of: try await acknowledge(refresh))
        _ = try await bench.end(
            of: try await acknowledge(await bench.send("POST", "\(connection)/refresh", #"{"streams":[]}"#)))
        let cancelled = try await acknowledge(
            await bench.send("POST", "\(connection)/refresh", #"{"streams":[],"remove_records":true}"#))
        #expect(await bench.send("DELETE", "\(Bench.prefix)/jobs/\(cancelled)").status == 204)
        witness.told.withLock { $0.cancelled.append(cancelled) }
        _ = try await bench.end(
            of: try await acknowledge(await bench.send("POST", "\(connection)/clear", #"{"streams":["users"]}"#)))
        _ = try await bench.end(of: try await acknowledge(await bench.trigger()))
        storage.set(nil)
        await bench.service.shutdown()

        let moments = witness.told.withLock { $0.moments }
        #expect(moments.count > 100)
        for moment in moments { try await check(moment) }
        bench.remove()
        try? FileManager.default.removeItem(atPath: copies)
    }

    private func check(_ moment: Moment) async throws {
        var options = Small.options(moment.directory, storage: TrappedStorage())
        options.rowsPerSecond = 1_000_000
        let beingCancelled = try jobsBeingCancelled(moment)
        let bench: Bench
        do { bench = try Bench(options) } catch {
            Issue.record("before \(moment.operation): \(error)")
            return
        }
        for id in moment.acknowledged {
            let job = try await bench.end(of: id)
            #expect(job.status == 200, "before \(moment.operation)")
            #expect(job["status"]?.string != "failed", "before \(moment.operation): \(job.text)")
            if moment.cancelled.contains(id) { #expect(job["status"]?.string == "cancelled") }
        }
        for id in beingCancelled { #expect(try await bench.end(of: id)["status"]?.string == "cancelled") }
        // What has not been acknowledged may be running; it counts as running then.
        for job in bench.service.runningJobs() { _ = try await bench.end(of: job.id) }
        try checkLengths(bench, moment)
        let last = try await bench.sync()
        try checkLengths(bench, moment)
        #expect(last["status"]?.string == "succeeded", "before \(moment.operation): \(last.text)")
        for stream in ["users", "orders"] {
            #expect(
                bench.smallRows(stream).sorted() == Self.latest(bench.smallSource(stream)).sorted(),
                "\(stream) before \(moment.operation)")
        }
        await bench.service.shutdown()
    }

    /// The jobs whose cancelling is in the journal and whose end is not.
    private func jobsBeingCancelled(_ moment: Moment) throws -> [String] {
        let copy = moment.directory + ".journal"
        try? FileManager.default.copyItem(atPath: "\(moment.directory)/connectors/journal", toPath: copy)
        // Before the first start there is none.
        try? FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
        let files = JournalFiles(folder: copy, disk: JournalFolder(path: copy))
        let recovery = try JournalRecovery.read(files, salt: 1)
        var state = ServiceState([], endedJobsKept: 100)
        for record in recovery.records { state.apply(record) }
        return state.entries.compactMap { $0.activeJob?.job }.filter(\.isCancelRequested).map(\.id)
    }

    /// With no job running, a destination file has what the journal says and nothing else, and no row twice.
    private func checkLengths(_ bench: Bench, _ moment: Moment) throws {
        let key = ConnectionKey(organization: Bench.organization, id: "conn_abc123")
        let positions = bench.service.store.withState { state in state.index(of: key).map { state[$0].positions } }
        for (stream, position) in try #require(positions) {
            let rows = bench.smallRows(stream)
            #expect(Set(rows).count == rows.count, "\(stream) before \(moment.operation)")
            let length = rows.reduce(0) { $0 + $1.utf8.count + 1 }
            #expect(length == position.length, "\(stream) before \(moment.operation)")
        }
    }

    /// The last version of each row, as an upsert leaves it.
    static func latest(_ lines: [String]) -> [String] {
        var latest: [String: String] = [:]
        for line in lines {
            let id = line.split(separator: "\"")[3]
            latest[String(id)] = line
        }
        return Array(latest.values)
    }
}
