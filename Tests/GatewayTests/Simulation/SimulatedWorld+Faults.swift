import Journal
import Policy
import TestSupport
import Transport

@testable import Gateway

// Crashes, disks, clocks and operators.
extension SimulatedWorld {
    func writeJournal() {
        switch number(in: 0..<5) {
        case 0: gateway.leaseJournal.writePending()
        case 1: gateway.recordJournal.writePending()
        default: gateway.writeJournals()
        }
    }

    func breakDisk() {
        let first = gateway.disk.operations + number(in: 1..<5)
        let last = first + number(in: 0..<6)
        tell("the disk fails for a while")
        gateway.disk.fails { $0 >= first && $0 <= last }
    }

    /// The process is killed, or the machine loses power.
    func crash() {
        restart(from: chance(2) ? gateway.disk.killed() : gateway.disk.crashed(&random))
    }

    /// The machine loses power in the middle of a write.
    func crashInWrite() {
        let operation = number(in: 1..<6)
        guard let left = gateway.write(leases: chance(2), crashingAt: operation, random) else { return }
        restart(from: left)
    }

    private func restart(from disk: MemoryDisk) {
        counts.crashes += 1
        tell("the gateway crashes and starts again")
        let sent = Set(requests.filter(\.isSent).map(\.facts.generation)).union(knownGenerations)
        let before = gateway.entries.filter { sent.contains($0.lease.generation) && $0.lease.kind.lifetime == .job }
        do {
            try gateway.restart(
                from: disk, matrix: policies.matrix, responseTimeout: .milliseconds(Self.responseTimeout),
                running: runningJobs, now: clock.moment)
        } catch { return violated(.survives, "the journal cannot be read: \(error)") }
        // Requests on the way still arrive, except in a service that has crashed too; their responses find nobody.
        for request in requests { request.abandon() }
        requests.removeAll { if case .sent = $0.progress { isLocal } else { true } }
        (waiting, openPolls, echoes, passing, keptPlaces, lateAnswers) = ([], [], [], [], [], [])
        (events, openList, secondsSinceList, concluding, keptRecords) = ([], nil, 0, [], [])
        limits = ReferenceLimits()
        keys.restart(at: clock.now, clock.moment)
        // The service in this process does not see generations, and no journal keeps them.
        (givenGenerations, sentGenerations) = (isLocal ? [:] : sentGenerations, isLocal ? [:] : sentGenerations)
        if isLocal { return sentByKind = [:] }
        let after = Set(gateway.entries.map(\.lease.generation))
        for (key, lease) in before where !after.contains(lease.generation) {
            violated(.survives, "generation \(lease.generation) on \(key.connection) is lost, it was \(lease.state)")
        }
    }

    /// The generations whose request was sent, of leases that are concluded or older than this process.
    private var knownGenerations: Set<UInt64> {
        let open = Set(requests.filter { $0.lease != nil }.map(\.facts.generation))
        return Set(gateway.entries.map(\.lease.generation)).subtracting(open)
    }

    /// The time of day jumps. It stays within the difference that the gateway allows for if the upstream says when jobs started.
    func setClock() {
        let most = upstream.tellsTimes ? 25_000 : Self.mostClockError
        clock.error = number(in: -most..<most)
        tell("the time of day is off by \(clock.error) ms")
    }

    func reloadPolicies() {
        let index = number(in: 0..<allPolicies.count)
        policies = allPolicies[index]
        tell("policies \(index) are in force")
        // Waiting requests keep the policies of their arrival; see the pipeline.
    }
}
