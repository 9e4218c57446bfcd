import Foundation
import JSON
import Journal
import Synchronization
import TestSupport
import Testing

@testable import Connectors

/// A journal's disk that hangs: what a client is told then is true when the disk works again.
@Suite struct HangingDiskTests {
    private static let timeout = Duration.milliseconds(300)

    /// A service over `connections` connections, `conn_0` and so on, whose journal is on `disk`.
    private func bench(
        _ disk: HeldDisk, connections: Int, rowsPerSecond: Int = 1_000_000, timeout: Duration = timeout,
        storage: any Storage = DiskStorage()
    ) throws -> Bench {
        let directory = try Small.directory()
        let definitions = (0..<connections).map { number in
            """
            { id: "conn_\(number)", organization: "\(Bench.organization)", source: { folder: "source" },
              destination: { folder: "destination/\(number)" }, pace: { rowsPerSecond: \(rowsPerSecond) },
              streams: { users: { cursor: "updated_at", key: "id" } } },
            """
        }
        try Small.write("{ connections: [\(definitions.joined())] }", "\(directory)/connectors.json5")
        var options = Small.options(directory, storage: storage)
        options.journalDisk = { _ in disk.disk }
        options.commitTimeout = timeout
        return try Bench(options)
    }

    private func connections(ofJobsIn bench: Bench) async throws -> [String] {
        let list = await bench.send("GET", "\(Bench.prefix)/jobs?limit=100")
        return (list["data"]?.array ?? []).compactMap { $0["connection_id"]?.string }
    }

    private func waitUntilIdle(_ bench: Bench) throws {
        try waitUntil("no job runs") { bench.service.runningJobs().isEmpty }
    }

    /// What the journal says, record by record.
    private func records(_ disk: HeldDisk) throws -> [JournalRecord] {
        try JournalRecovery.read(JournalFiles(folder: "/journal", disk: disk.disk.killed()), salt: 1).records
    }

    @Test(
        "Connector service, hanging disk: only a change that is with the disk may still come true, and its 503 says so")
    func outcomes() async throws {
        let disk = HeldDisk()
        let bench = try bench(disk, connections: 3)
        defer { bench.remove() }
        disk.hold()
        async let withDisk = bench.trigger("conn_0")
        try waitUntil("the disk hangs") { disk.isHolding }
        async let waiting = bench.trigger("conn_1")
        async let state = bench.updateState(of: "conn_2")
        let answers = await (withDisk, waiting, state)
        // Nobody knows what becomes of it: a client, or a gateway, must not take it for not done.
        #expect(answers.0.status == 503 && answers.0.headers["Retry-After"] == nil)
        for answer in [answers.1, answers.2] {
            #expect(answer.status == 503 && answer.headers["Retry-After"] == "5", "\(answer.text)")
        }
        #expect(bench.service.runningJobs().map(\.connection) == ["conn_0"])
        #expect(await bench.trigger("conn_0").status == 409)
        disk.release()
        try await Task.sleep(for: .milliseconds(50))
        try waitUntilIdle(bench)
        #expect(try await connections(ofJobsIn: bench) == ["conn_0"])
        #expect(await bench.send("GET", "\(Bench.prefix)/connections/conn_2/state").text.contains("not_set"))
        await bench.service.shutdown()
        #expect(
            try records(disk).allSatisfy { if case .job(let job) = $0 { job.connection.id == "conn_0" } else { true } })
    }

    @Test("Connector service, hanging disk: of 10,000 requests, those whose response says \"no effect\" have none")
    func manyRequests() async throws {
        let (disk, count) = (HeldDisk(), 1000)
        let bench = try bench(disk, connections: 2 * count, timeout: .seconds(2))
        defer { bench.remove() }
        disk.hold()
        let refused = Refused()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<10 * count {
                group.addTask {
                    // One trigger a connection for the first half, nine state updates for each of the others.
                    let isTrigger = number % 10 == 0
                    let connection = "conn_\(isTrigger ? number / 10 : count + number % count)"
                    let answer = isTrigger ? await bench.trigger(connection) : await bench.updateState(of: connection)
                    #expect(answer.status == 503, "\(answer.text)")
                    refused.told.withLock { refused in
                        guard answer.headers["Retry-After"] != nil else { return refused.inDoubt += 1 }
                        if isTrigger {
                            refused.jobs.insert(connection)
                        } else {
                            refused.states += 1
                        }
                    }
                }
            }
        }
        // Nothing is left of them but what the disk has.
        let inDoubt = refused.told.withLock { $0.inDoubt }
        #expect(inDoubt > 0 && inDoubt < 10 * count)
        #expect(bench.service.runningJobs().count <= inDoubt)
        disk.release()
        try await Task.sleep(for: .milliseconds(50))
        try waitUntilIdle(bench)
        let last = await bench.trigger("conn_0")
        #expect(last.status == 200)
        try waitUntilIdle(bench)
        await bench.service.shutdown()

        var begun: [String: Set<String>] = [:]
        var updated = 0
        for record in try records(disk) {
            switch record {
            case .job(let job): begun[job.connection.id, default: []].insert(job.id)
            case .cursors(_, let cursors) where cursors.cursor(of: "users") == .integer(1):
                updated += 1
            case .cursors, .position, .cancel: continue
            }
        }
        begun["conn_0"]?.remove(last.startedJob?.id ?? "")
        let (jobs, states) = refused.told.withLock { ($0.jobs, $0.states) }
        #expect(jobs.filter { !begun[$0, default: []].isEmpty }.isEmpty)
        #expect(states + updated <= 9 * count)
        #expect(begun.values.reduce(0) { $0 + $1.count } + updated <= inDoubt)
    }

    @Test("Connector service, hanging disk: a job waits for its checkpoint, and writes it once")
    func checkpointOnce() async throws {
        let disk = HeldDisk()
        let bench = try bench(disk, connections: 1, rowsPerSecond: 500, timeout: .milliseconds(50))
        defer { bench.remove() }
        let id = try #require((await bench.trigger("conn_0")).startedJob?.id)
        disk.hold()
        try waitUntil("the disk hangs") { disk.isHolding }
        try await Task.sleep(for: .milliseconds(600))
        disk.release()
        #expect(try await bench.end(of: id)["status"]?.string == "succeeded")
        await bench.service.shutdown()
        let positions = try records(disk).filter { if case .position = $0 { true } else { false } }
        #expect(positions.count > 1)
        for (index, position) in positions.enumerated() {
            #expect(!positions[..<index].contains(position), "\(position) is there twice")
        }
        #expect(bench.lines("\(bench.directory)/destination/0/users.ndjson") == bench.smallSource("users"))
    }

    @Test("Connector service, hanging disk: a job that is being cancelled is not written as that again")
    func cancelOnce() async throws {
        let (disk, storage) = (HeldDisk(), TrappedStorage())
        let bench = try bench(disk, connections: 1, rowsPerSecond: 500, storage: storage)
        defer { bench.remove() }
        let hangs = DispatchSemaphore(value: 0)
        let isWriting = Mutex(false)
        storage.set { _, what throws(StorageError) in
            guard what.hasPrefix("write"), what.contains("destination") else { return }
            isWriting.withLock { $0 = true }
            _ = hangs.wait(timeout: .now() + 20)
        }
        let id = try #require((await bench.trigger("conn_0")).startedJob?.id)
        try waitUntil("the job hangs") { isWriting.withLock { $0 } }
        for _ in 0..<2 { #expect(await bench.send("DELETE", "\(Bench.prefix)/jobs/\(id)").status == 204) }
        storage.set(nil)
        hangs.signal()
        #expect(try await bench.end(of: id)["status"]?.string == "cancelled")
        await bench.service.shutdown()
        #expect(try records(disk).count { if case .cancel = $0 { true } else { false } } == 1)
    }
}

/// What clients were told of their requests.
private final class Refused: Sendable {
    struct Told {
        /// The connections without a job.
        var jobs: Set<String> = []
        /// How many state updates were not made.
        var states = 0
        /// How many requests may be done, or not.
        var inDoubt = 0
    }

    let told = Mutex(Told())
}

extension Bench {
    fileprivate func updateState(of connection: String) async -> Answer {
        await send("PATCH", "\(Self.prefix)/connections/\(connection)/state", #"{"state":{"users":{"cursor":1}}}"#)
    }
}

/// A disk in memory whose operations wait while it is held.
final class HeldDisk: Sendable {
    let disk = MemoryDisk()
    private let condition = NSCondition()
    private let state = Mutex((isHeld: false, waiting: 0))

    init() { disk.before { [weak self] _ in self?.pass() } }

    /// From now on every operation waits.
    func hold() { state.withLock { $0.isHeld = true } }

    func release() {
        state.withLock { $0.isHeld = false }
        condition.lock()
        condition.broadcast()
        condition.unlock()
    }

    /// Whether an operation waits.
    var isHolding: Bool { state.withLock { $0.waiting > 0 } }

    private func pass() {
        guard state.withLock({ $0.isHeld }) else { return }
        condition.lock()
        state.withLock { $0.waiting += 1 }
        while state.withLock({ $0.isHeld }) { condition.wait() }
        state.withLock { $0.waiting -= 1 }
        condition.unlock()
    }
}
