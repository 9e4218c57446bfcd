import TestSupport

@testable import Gateway

// The connector service in the process of the gateway: it reports each beginning and end of a job, and lists what runs.
extension SimulatedWorld {
    private func running(_ job: SimulatedUpstream.Job) -> RunningJob {
        RunningJob(key: key(job.connection), job: upstream.shown(job, clock))
    }

    /// The jobs that run, as the service tells them. It never lies.
    var runningJobs: [RunningJob] { upstream.atWork(clock.now).map(running) }

    /// A job has begun or ended. The report may be late. The end of a job that a lease has may not be reported at all.
    func report(_ id: String) {
        guard isLocal, let job = upstream.job(id) else { return }
        if gateway.leases.hasLease(key(job.connection), jobID: id), chance(8) { return counts.lostEvents += 1 }
        events.append(running(job))
    }

    /// A report arrives, perhaps twice. Those about one job arrive in order.
    func deliverEvent() {
        guard let index = events.indices.randomElement(using: &random) else { return }
        let first = events.firstIndex { $0.job.id == events[index].job.id } ?? index
        let event = events[first]
        if !chance(10) { events.remove(at: first) }
        counts.events += 1
        tell("the service reports \(event.job.id): \(event.job.status)")
        gateway.leases.jobObserved(event.key, event.job, now: clock.moment)
    }

    /// As `LocalLeaseReconciler` does each second.
    func beginList() {
        secondsSinceList += 1
        guard openList == nil, secondsSinceList >= 30 || gateway.leases.hasUncertain else { return }
        secondsSinceList = 0
        openList = OpenList(revision: gateway.leases.revision())
    }

    /// A list shows nothing that is not reported before.
    func readList() {
        guard openList != nil, openList?.running == nil else { return }
        while !events.isEmpty { deliverEvent() }
        openList?.running = runningJobs
    }

    func deliverList(mayFail: Bool = true) {
        guard let list = openList, let running = list.running else { return }
        openList = nil
        if mayFail, chance(10) { return tell("the list of jobs cannot be read") }
        tell("these jobs run: \(running.map(\.job.id))")
        let revision = mutation == .believesOldList ? gateway.leases.revision() : list.revision
        gateway.leases.reconcile(running: running, asOf: revision, now: clock.moment)
    }
}

/// A list of the jobs in this process that the gateway reads.
struct OpenList {
    let revision: LeaseRevision
    /// What it has, once it has been read.
    var running: [RunningJob]?
}
