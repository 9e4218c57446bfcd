import Foundation
import JSON
import Synchronization
import Testing

@testable import Connectors

/// Disks that fail: a change is answered with 503, reads go on, and nothing half done comes to light.
@Suite struct FaultTests {
    private static let connection = "\(Bench.prefix)/connections/conn_abc123"

    @Test(
        "Connector service, disk faults: whichever operation of a day's work fails once, every response stays true"
    )
    func failOnce() async throws {
        var number = 1
        var wasReached = true
        while wasReached {
            wasReached = try await day(failing: number)
            number += 1
        }
        #expect(number > 60)
    }

    /// A day with one failing operation; `false` if the day has fewer operations than that.
    private func day(failing number: Int) async throws -> Bool {
        let directory = try Small.directory(rowsPerSecond: 1_000_000)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let hasFailed = Mutex("")
        let storage = TrappedStorage { [number] count, what throws(StorageError) in
            guard count == number else { return }
            hasFailed.withLock { $0 = what }
            throw .full(what)
        }
        var options = Small.options(directory, storage: storage)
        options.compactionBytes = 1500
        guard let bench = try? Bench(options) else {
            // A start that fails must leave a directory that can be started from.
            let second = try Bench(Small.options(directory, storage: TrappedStorage()))
            #expect(try await second.sync()["status"]?.string == "succeeded")
            await second.service.shutdown()
            return true
        }
        var started: [String] = []
        for step in 0..<5 {
            let answer =
                switch step {
                case 0, 2: await bench.trigger()
                case 1: await bench.send("POST", "\(Self.connection)/refresh", #"{"streams":[]}"#)
                case 3: await bench.send("POST", "\(Self.connection)/clear", #"{"streams":["users"]}"#)
                default:
                    await bench.send("PATCH", "\(Self.connection)/state", #"{"state":{},"state_type":"stream"}"#)
                }
            #expect(await bench.send("GET", "\(Self.connection)/state").status == 200)
            #expect([200, 503].contains(answer.status), "\(answer.text)")
            if answer.status == 503 { #expect(answer.code == "SERVICE_UNAVAILABLE") }
            guard let id = answer.startedJob?.id else { continue }
            started.append(id)
            _ = try await bench.end(of: id)
        }
        #expect(bench.service.runningJobs().isEmpty)
        let before = try await listed(bench)
        let state = await bench.send("GET", "\(Self.connection)/state").text
        await bench.service.shutdown()

        let second = try Bench(Small.options(directory, storage: TrappedStorage()))
        #expect(try await listed(second) == before, "failing \(hasFailed.withLock { $0 })")
        #expect(before.count == started.count)
        #expect(await second.send("GET", "\(Self.connection)/state").text == state)
        #expect(try await second.sync()["status"]?.string == "succeeded")
        for stream in ["users", "orders"] {
            #expect(second.smallRows(stream).sorted() == second.smallSource(stream).sorted())
        }
        await second.service.shutdown()
        return !hasFailed.withLock { $0.isEmpty }
    }

    private func listed(_ bench: Bench) async throws -> [String] {
        let list = await bench.send("GET", "\(Bench.prefix)/jobs?limit=100")
        return (list["data"]?.array ?? []).map { "\($0["job_id"]?.string ?? "") \($0["status"]?.string ?? "")" }
    }

    @Test(
        "Connector service, disk faults: while the disk is full changes get 503 and reads go on; afterwards everything works again",
        arguments: [true, false])
    func fullDisk(canCut: Bool) async throws {
        let directory = try Small.directory(rowsPerSecond: 1_000_000)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let storage = TrappedStorage()
        let bench = try Bench(Small.options(directory, storage: storage))
        #expect(try await bench.sync()["status"]?.string == "succeeded")
        storage.set { _, what throws(StorageError) in
            if !canCut || what.hasPrefix("write") || what.hasPrefix("create") { throw .full(what) }
        }
        for number in 0..<3 {
            let answer = await bench.trigger()
            #expect(answer.status == 503)
            // Of what cannot be cut off again nobody knows what a crash makes. Nothing is written behind it.
            #expect(answer.headers["Retry-After"] == (canCut || number > 0 ? "5" : nil))
            #expect(answer.error?["type"]?.string == "server_error")
            let patch = await bench.send("PATCH", "\(Self.connection)/state", #"{"state":{}}"#)
            #expect(patch.status == 503)
            #expect(await bench.send("GET", "\(Self.connection)/state").text.contains("cursor"))
            #expect(await bench.send("GET", "\(Bench.prefix)/jobs")["total"]?.integer == 1)
        }
        storage.set(nil)
        #expect(try await bench.sync()["status"]?.string == "succeeded")
        await bench.service.shutdown()
        let second = try Bench(Small.options(directory))
        #expect(await second.send("GET", "\(Bench.prefix)/jobs")["total"]?.integer == 2)
        await second.service.shutdown()
    }

    @Test(
        "Connector service, disk faults: a job that runs into a full disk fails with the reason and keeps its checkpoint"
    )
    func fullDestination() async throws {
        let directory = try Small.directory(rowsPerSecond: 1000)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let storage = TrappedStorage()
        let bench = try Bench(Small.options(directory, storage: storage))
        let writes = Mutex(0)
        storage.set { _, what throws(StorageError) in
            guard what.hasPrefix("write /"), what.hasSuffix("destination/users.ndjson") else { return }
            let count = writes.withLock { writes in
                writes += 1
                return writes
            }
            if count == 2 { throw .full(what) }
        }
        let job = try await bench.sync()
        #expect(job["status"]?.string == "failed")
        #expect(job["failure_reason"]?.string == "destination file users.ndjson: No space left on device")
        #expect(job["rows_synced"]?.integer == 100)
        #expect(bench.smallRows("users").count == 100)
        let next = try await bench.sync()
        #expect(next["rows_synced"]?.integer == 90)
        #expect(bench.smallRows("users") == bench.smallSource("users"))
        await bench.service.shutdown()
    }

    @Test("Connector service, disk faults: an answer does not wait for a disk that hangs")
    func hangingDisk() async throws {
        let directory = try Small.directory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let storage = TrappedStorage()
        var options = Small.options(directory, storage: storage)
        options.commitTimeout = .milliseconds(100)
        let bench = try Bench(options)
        let hangs = DispatchSemaphore(value: 0)
        storage.set { _, what throws(StorageError) in
            if what.hasPrefix("synchronize"), what.contains("journal") { _ = hangs.wait(timeout: .now() + 10) }
        }
        let began = ContinuousClock.now
        #expect(await bench.trigger().status == 503)
        #expect(ContinuousClock.now - began < .seconds(5))
        #expect(await bench.send("GET", "\(Self.connection)/state").status == 200)
        storage.set(nil)
        hangs.signal()
        await bench.service.shutdown()
    }

    @Test("Connector service, disk faults: a state directory in use is refused, and free again when its user is gone")
    func lock() async throws {
        let directory = try Small.directory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        do {
            let bench = try Bench(Small.options(directory))
            let refusal = #expect(throws: JournalRefusal.self) { try ConnectorService.start(Small.options(directory)) }
            #expect(refusal?.description.contains("is in use by another process") == true)
            await bench.service.shutdown()
        }
        let again = try Bench(Small.options(directory))
        await again.service.shutdown()
    }
}
