import Foundation
import Policy
import Synchronization
import TestSupport
import Testing
import Transport

@testable import Gateway

private let sync = LeaseKind(index: 0, name: "sync", lifetime: .job, settleTime: .seconds(15))
private let update = LeaseKind(index: 1, name: "update", lifetime: .request)
private let matrix = ConcurrencyMatrix(kinds: [sync, update], conflicts: [[0, 1], [0, 1]])
private let key = LeaseKey(organization: "o", connection: "c")

private func job(_ status: String, id: String = "job_1") -> LeaseJob {
    LeaseJob(id: id, type: "sync", status: status, startedAt: 0)
}

/// The states of a lease in the article Architecture are those of the code: each event is tried in each state.
@Suite("Transitions of a lease")
struct LeaseTransitionsTests {
    /// A connection with one lease at most, in a real table with its journal.
    private final class Subject {
        private var disk = MemoryDisk()
        private var journal: LeaseJournal
        private(set) var table: LeaseTable
        /// While the request is in progress.
        var lease: Lease?

        init() {
            journal = LeaseJournal(disk: disk) { _ in }
            table = LeaseTable(shardCount: 1, journal: journal)
        }

        private var entry: LeaseEntry? { table.shard(of: key).records.withLock { $0.leases[key]?.entries.first } }

        var serial: UInt64 { entry?.serial ?? 0 }

        /// The name of the state in the article.
        var state: String {
            guard let entry else { return "free" }
            let suffix = entry.kind.lifetime == .request ? " for a request" : entry.isGuess ? " by a guess" : ""
            return entry.state.rawValue + suffix
        }

        func claim(_ kind: LeaseKind = sync) {
            if lease == nil { lease = try? table.reserve(key, kind: kind, matrix: matrix, now: 0) }
        }

        func lose() {
            lease?.forwarded(at: Moment(0).instant)
            lease = nil
        }

        func bind(_ status: String) { lease.take()?.conclude(status: 200, started: job(status), now: 0) }

        func show(_ status: String) { table.jobShown(key, job(status), asOf: table.revision(), now: 1) }

        func list(_ jobs: [LeaseJob]) {
            let revision = table.revision()
            _ = table.resolve(key, serial, jobs: jobs, mayFree: true, asOf: revision, now: 1)
        }

        func find(_ jobs: [LeaseJob]) {
            let running = jobs.map { RunningJob(key: key, job: $0) }
            table.reconcile(running: running, asOf: table.revision(), now: 1)
        }

        /// The process is killed, and another one starts.
        func restart() throws {
            journal.writePending()
            disk = disk.killed()
            let recovered = try LeaseJournal.recover(from: disk) { _ in }
            journal = LeaseJournal(disk: disk) { _ in }
            table = LeaseTable(shardCount: 1, journal: journal)
            for entry in recovered.leases { table.restore(entry, matrix: matrix, now: 2) }
        }
    }

    /// How to come to each state.
    private static let states: [(name: String, reach: @Sendable (Subject) -> Void)] = [
        ("free", { _ in }),
        ("reserved", { $0.claim() }),
        (
            "held",
            {
                $0.claim()
                $0.bind("running")
            }
        ),
        (
            "held by a guess",
            {
                $0.claim()
                $0.lose()
                $0.list([job("running")])
            }
        ),
        (
            "draining",
            {
                $0.claim()
                $0.bind("running")
                $0.table.cancelAccepted(key, jobID: "job_1")
            }
        ),
        (
            "draining by a guess",
            {
                $0.claim()
                $0.lose()
                $0.list([job("running")])
                $0.table.cancelAccepted(key, jobID: "job_1")
            }
        ),
        (
            "uncertain",
            {
                $0.claim()
                $0.lose()
            }
        ),
        (
            "settling",
            {
                $0.claim()
                $0.bind("running")
                $0.show("cancelled")
            }
        ),
        (
            "settling by a guess",
            {
                $0.claim()
                $0.lose()
                $0.list([job("cancelled"), job("cancelled", id: "job_2")])
            }
        ),
        ("reserved for a request", { $0.claim(update) }),
        (
            "uncertain for a request",
            {
                $0.claim(update)
                $0.lose()
            }
        ),
    ]

    /// What can happen to a lease.
    private static let events: [(name: String, happen: @Sendable (Subject) throws -> Void)] = [
        ("claimed", { $0.claim() }),
        // The response to its request.
        ("unsent", { $0.lease = nil }),
        ("refused", { $0.lease.take()?.conclude(status: 422, started: nil, now: 0) }),
        ("named", { $0.bind("running") }),
        ("namedEnded", { $0.bind("succeeded") }),
        ("namedCancelled", { $0.bind("cancelled") }),
        ("unnamed", { $0.lease.take()?.conclude(status: 202, started: nil, now: 0) }),
        ("failed", { $0.lease.take()?.conclude(status: 500, started: nil, now: 0) }),
        ("lost", { $0.lose() }),
        // The gateway asks what runs only if the request may start a job.
        ("adopted", { if $0.lease?.isForJob ?? false { _ = $0.lease.take()?.adopt(job("running"), now: 0) } }),
        // Its job, as responses and polls show it.
        ("cancelAccepted", { $0.table.cancelAccepted(key, jobID: "job_1") }),
        ("shownRunning", { $0.show("running") }),
        ("shownEnded", { $0.show("succeeded") }),
        ("shownCancelled", { $0.show("cancelled") }),
        ("vanished", { $0.table.jobVanished(key, $0.serial, asOf: $0.table.revision(), now: 1) }),
        // The jobs of its connection, when its request cannot be at work any more.
        ("listedRunning", { $0.list([job("running")]) }),
        ("listedEnded", { $0.list([job("succeeded")]) }),
        ("listedCancelled", { $0.list([job("cancelled")]) }),
        ("listedNone", { $0.list([]) }),
        // The service of this process.
        ("reportedEnded", { $0.table.jobEnded(key, jobID: "job_1", now: 1) }),
        ("foundRunning", { $0.find([job("running")]) }),
        ("foundNone", { $0.find([]) }),
        // Time, and crashes.
        ("settled", { $0.table.removeSettled(now: Moment(60_000).instant) }),
        ("requestOver", { $0.table.endRequest(key, $0.serial) }),
        ("restarted", { try $0.restart() }),
    ]

    /// The transitions of the code: state, event, next state.
    private static func transitions() throws -> Set<[String]> {
        var found: Set<[String]> = []
        for (name, reach) in states {
            for (event, happen) in events {
                let subject = Subject()
                reach(subject)
                #expect(subject.state == name)
                try happen(subject)
                if subject.state != name { found.insert([name, event, subject.state]) }
            }
        }
        return found
    }

    @Test("Lease: the article has each transition, and the code each that the article has")
    func article() throws {
        var listed: Set<[String]> = []
        for row in try Article("Architecture").rows(below: "A lease") {
            let cells = row.map { $0.filter { $0 != "`" } }
            for event in cells[1].components(separatedBy: ", ") {
                #expect(listed.insert([cells[0], event, cells[2]]).inserted, "\(cells) is there twice")
            }
        }
        let found = try Self.transitions()
        for missing in found.subtracting(listed).sorted(by: { "\($0)" < "\($1)" }) {
            Issue.record("the article does not have \(missing)")
        }
        for wrong in listed.subtracting(found).sorted(by: { "\($0)" < "\($1)" }) {
            Issue.record("the code does not have \(wrong)")
        }
        // Each event, and each state of the code, matters somewhere.
        #expect(Set(found.map { $0[1] }) == Set(Self.events.map(\.name)))
        #expect(
            Set(Self.states.map { $0.name.prefix { $0 != " " } })
                == Set(LeaseState.allCases.map { $0.rawValue[...] } + ["free"]))
    }
}
