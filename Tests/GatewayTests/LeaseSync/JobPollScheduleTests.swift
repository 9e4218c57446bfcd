import Policy
import Testing

@testable import Gateway
@testable import Transport

private let start = Instant(nanoseconds: 1_000_000_000_000)

private func at(_ seconds: Double) -> Instant { start + .milliseconds(Int(seconds * 1000)) }

private let job = LeaseJob(id: "job_1", type: "sync", status: "running")

private func lease(
    _ serial: UInt64 = 1, _ state: LeaseState = .held, since: Int64 = 0, isAccepted: Bool = false,
    family: RouteFamily = .aitronos
) -> PolledLease {
    PolledLease(
        serial: serial, key: LeaseKey(organization: "o", connection: "c\(serial)"), kind: "sync", family: family,
        state: state, job: state == .uncertain ? nil : job, since: since, isAccepted: isAccepted)
}

/// Watches whose questions are answered in the second they are asked, unless a test says otherwise.
private final class Watches {
    private var polls = JobPollSchedule()

    func due(_ leases: [PolledLease], now: Instant, room: Int) -> [PolledLease] {
        polls.due(leases, now: now, room: room)
    }

    func asks(_ lease: PolledLease, _ seconds: Double) -> Bool { due([lease], now: at(seconds), room: 8) == [lease] }

    func completed(_ lease: PolledLease, _ answer: JobStatus, _ seconds: Double) -> JobPollSchedule.Action {
        polls.completed(lease, answer, polledAt: at(seconds), now: at(seconds), jitter: 1)
    }

    func resolved(_ lease: PolledLease, _ resolution: LeaseTable.Resolution, _ seconds: Double) {
        polls.resolved(lease, resolution, polledAt: at(seconds), now: at(seconds))
    }

    func overdue(_ leases: [PolledLease], _ epochMilliseconds: Int64) -> (new: [PolledLease], count: Int) {
        polls.overdue(leases, epochMilliseconds: epochMilliseconds)
    }
}

@Suite("Schedule of status polls")
struct JobPollScheduleTests {
    @Test("JobPollSchedule: a job is polled after a second, then less and less often, at least every 15 seconds")
    func backOff() {
        let polls = Watches()
        var asked: [Double] = []
        for tick in 0..<200 {
            guard polls.asks(lease(), Double(tick)) else { continue }
            asked.append(Double(tick))
            #expect(polls.completed(lease(), tick % 2 == 0 ? .unknown(.failed) : .job(job), Double(tick)) != .vanished)
        }
        #expect(asked.first == 1)
        let gaps = zip(asked.dropFirst(), asked).map { $0 - $1 }
        #expect(gaps.first == 1 && gaps.last == 15)
        #expect(zip(gaps.dropFirst(), gaps).allSatisfy { $0 >= $1 })
    }

    @Test(
        "JobPollSchedule: the number of polls in flight is limited, and no lease is polled twice before all were polled once"
    )
    func fairness() {
        let polls = Watches()
        let leases = (1...40).map { lease(UInt64($0), family: .airweave) }
        var asked: [UInt64: Int] = [:]
        #expect(polls.due(leases, now: at(0), room: 8) == [])
        for tick in 1...30 {
            let due = polls.due(leases, now: at(Double(tick)), room: 8)
            #expect(due.count <= 8)
            for lease in due {
                asked[lease.serial, default: 0] += 1
                _ = polls.completed(lease, .job(job), Double(tick))
            }
            let counts = leases.map { asked[$0.serial, default: 0] }
            #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
        }
        #expect(asked.count == 40)
        #expect(polls.due(leases, now: at(99), room: -1) == [])
    }

    @Test("JobPollSchedule: a lease has at most one poll in flight")
    func oneQuestion() {
        let polls = Watches()
        #expect(!polls.asks(lease(), 0) && polls.asks(lease(), 1))
        #expect(!polls.asks(lease(), 2) && !polls.asks(lease(), 90))
        #expect(polls.completed(lease(), .job(job), 1) == .shown(job))
        #expect(polls.asks(lease(), 92))
    }

    @Test("JobPollSchedule: a job is gone when it was not found twice, five seconds apart, and not seen in between")
    func notFound() {
        let polls = Watches()
        var actions: [Double: JobPollSchedule.Action] = [:]
        for tick in 0..<20 where polls.asks(lease(), Double(tick)) {
            actions[Double(tick)] = polls.completed(lease(), tick == 2 ? .job(job) : .notFound, Double(tick))
        }
        #expect(actions[1] == .nothing && actions[2] == .shown(job))
        let missing = actions.filter { $0.key > 2 }.sorted { $0.key < $1.key }
        let first = missing[0].key
        for (time, action) in missing { #expect(action == (time >= first + 5 ? .vanished : .nothing), "\(time)") }
        #expect(missing.contains { $0.value == .vanished })
    }

    @Test("JobPollSchedule: a failed poll proves neither that a job exists nor that it does not")
    func failure() {
        let polls = Watches()
        _ = polls.asks(lease(), 0)
        #expect(polls.asks(lease(), 1) && polls.completed(lease(), .notFound, 1) == .nothing)
        #expect(polls.asks(lease(), 3) && polls.completed(lease(), .unknown(.refused), 3) == .nothing)
        #expect(polls.asks(lease(), 9) && polls.completed(lease(), .notFound, 9) == .vanished)
    }

    @Test("JobPollSchedule: a lost response is resolved by a poll two seconds later")
    func uncertain() {
        let polls = Watches()
        let lease = lease(1, .uncertain)
        #expect(!polls.asks(lease, 0) && !polls.asks(lease, 1.9) && polls.asks(lease, 2))
        #expect(polls.completed(lease, .jobs([job]), 2) == .resolve([job], mayFree: true))
    }

    @Test("JobPollSchedule: accepted work counts as not running only after two polls, a second apart")
    func accepted() {
        let polls = Watches()
        let lease = lease(1, .uncertain, isAccepted: true)
        _ = polls.asks(lease, 0)
        #expect(polls.asks(lease, 2) && polls.completed(lease, .jobs([]), 2) == .resolve([], mayFree: false))
        polls.resolved(lease, .idle, 2)
        #expect(!polls.asks(lease, 2.9) && polls.asks(lease, 3))
        #expect(polls.completed(lease, .jobs([]), 3) == .resolve([], mayFree: true))
        // A job that was there meanwhile begins it anew.
        polls.resolved(lease, .open, 3)
        #expect(polls.asks(lease, 20) && polls.completed(lease, .jobs([]), 20) == .resolve([], mayFree: false))
    }

    @Test(
        "JobPollSchedule: a job that is being cancelled is polled at once, and earlier polls do not count any more"
    )
    func draining() {
        let polls = Watches()
        _ = polls.asks(lease(), 0)
        #expect(polls.asks(lease(), 1))
        let draining = lease(1, .draining)
        #expect(polls.asks(draining, 1.5))
        #expect(polls.completed(lease(), .job(job), 1) == .nothing)
        #expect(polls.completed(draining, .job(job), 1.5) == .shown(job))
    }

    @Test("JobPollSchedule: a second result, or one for a lease that is gone, is ignored")
    func stale() {
        let polls = Watches()
        _ = polls.asks(lease(), 0)
        #expect(polls.asks(lease(), 1) && polls.completed(lease(), .job(job), 1) == .shown(job))
        #expect(polls.completed(lease(), .job(job), 1) == .nothing)
        #expect(polls.due([], now: at(2), room: 8) == [])
        #expect(polls.completed(lease(), .job(job), 1) == .nothing)
    }

    @Test("JobPollSchedule: while a request may be at work only a list that names its job counts")
    func responseTimeout() {
        let polls = Watches()
        var lease = lease(1, .uncertain)
        lease.origin.responseTimeout = .seconds(10)
        lease.sentAt = at(0)
        // Its answer was lost a second later.
        _ = polls.asks(lease, 1)
        var freed: Double?
        for tick in 2..<40 where freed == nil && polls.asks(lease, Double(tick)) {
            let action = polls.completed(lease, .jobs([]), Double(tick))
            if action == .resolve([], mayFree: true) { freed = Double(tick) }
            polls.resolved(lease, .idle, Double(tick))
        }
        #expect(freed == 12, "ten seconds after it was sent, and two to settle")
    }

    @Test("JobPollSchedule: after a restart the time of a lost request starts again")
    func patienceAfterRestart() {
        let polls = Watches()
        var lease = lease(1, .uncertain)
        lease.origin.responseTimeout = .seconds(10)
        _ = polls.asks(lease, 0)
        #expect(polls.asks(lease, 11) && polls.completed(lease, .jobs([]), 11) == .resolve([], mayFree: false))
        #expect(polls.asks(lease, 12) && polls.completed(lease, .jobs([]), 12) == .resolve([], mayFree: true))
    }

    @Test(
        "JobPollSchedule: a lost request without a job is not polled, and holds for as long as it may be at work")
    func requests() {
        var polls = JobPollSchedule()
        var lease = lease(1, .uncertain)
        lease.lifetime = .request
        lease.origin.responseTimeout = .seconds(10)
        lease.sentAt = at(0)
        for tick in 0..<12 {
            #expect(polls.record([lease], now: at(Double(tick))) == [] && polls.next(now: at(Double(tick))).isEmpty)
        }
        #expect(polls.record([lease], now: at(12)) == [lease])
    }

    @Test("JobPollSchedule: polls that hang for one organization do not delay those of another")
    func hanging() {
        var polls = JobPollSchedule()
        let others = (1...800).map { lease(UInt64($0), family: .airweave) }
        let mine = PolledLease(
            serial: 900, key: LeaseKey(organization: "p", connection: "c"), kind: "sync", family: .aitronos,
            state: .held,
            job: job, since: 0, isAccepted: false)
        _ = polls.record(others, now: at(0))
        let hanging = polls.due(others, now: at(1), room: .max)
        #expect(hanging.count > JobPollSchedule.maxPolls / 2 && hanging.count < JobPollSchedule.maxPolls)
        _ = polls.record(others + [mine], now: at(2))
        #expect(polls.due(others + [mine], now: at(3), room: .max).contains(mine))
    }

    @Test("JobPollSchedule: a finished job is polled within two seconds of a refusal, however many others run")
    func awaited() {
        var polls = JobPollSchedule()
        var leases = (1...800).map { lease(UInt64($0), family: .airweave) }
        var lastAsked = 0
        for tick in 0..<60 {
            leases[400].isAwaited = tick == 50
            // Each answer comes in the second in which it was asked for, so that there is no room for all.
            for lease in polls.due(leases, now: at(Double(tick)), room: .max) {
                if lease.serial == 401 { lastAsked = tick }
                _ = polls.completed(
                    lease, .job(job), polledAt: at(Double(tick)), now: at(Double(tick) + 0.5), jitter: 1)
            }
            if tick == 52 { #expect(lastAsked >= 50) }
        }
    }

    @Test(
        "JobPollSchedule: many leases of an organization share one list, and those that it does not show are polled one by one"
    )
    func lists() {
        var polls = JobPollSchedule()
        var leases = (1...100).map { lease(UInt64($0)) }
        _ = polls.record(leases, now: at(0))
        leases[4].isAwaited = true
        #expect(polls.record(leases, now: at(1)) == [])
        #expect(polls.next(now: at(1)) == [leases[4]], "somebody waits for it")
        let asked = polls.next(now: at(1))
        #expect(asked.count == 99 && !asked.contains(leases[4]) && polls.next(now: at(1)).isEmpty)
        leases[4].isAwaited = false
        for (index, lease) in asked.enumerated() {
            let answer = index < 90 ? JobStatus.job(job) : .notListed
            _ = polls.completed(lease, answer, polledAt: at(1), now: at(1.5), jitter: 1)
        }
        _ = polls.record(leases, now: at(2))
        for _ in 0..<9 { #expect(polls.next(now: at(2)).count == 1) }
        #expect(polls.next(now: at(2)).isEmpty)
    }

    @Test("JobPollSchedule: a lease that a caller waits for does not wait for a shared list")
    func awaitedInList() {
        var polls = JobPollSchedule()
        var leases = (1...20).map { lease(UInt64($0)) }
        _ = polls.record(leases, now: at(0))
        _ = polls.record(leases, now: at(1))
        let asked = polls.next(now: at(1))
        #expect(asked.count == 20)
        leases[3].isAwaited = true
        _ = polls.record(leases, now: at(3))
        #expect(polls.next(now: at(3)) == [leases[3]] && polls.next(now: at(3)).isEmpty)
        leases[3].isAwaited = false
        #expect(polls.completed(leases[3], .job(job), polledAt: at(3), now: at(3), jitter: 1) == .shown(job))
        // What the list says of it then is older.
        for lease in asked {
            let action = polls.completed(lease, .job(job), polledAt: at(1), now: at(9), jitter: 1)
            #expect(action == (lease.serial == 4 ? .nothing : .shown(job)))
        }
    }

    @Test("JobPollSchedule: the time of a lost request does not start again if its lease had another job meanwhile")
    func patienceOfAGuess() {
        let polls = Watches()
        let held = lease(1)
        var lost = lease(1, .uncertain)
        lost.origin.responseTimeout = .seconds(10)
        _ = polls.asks(lost, 0)
        #expect(polls.asks(lost, 2) && polls.completed(lost, .jobs([job]), 2) == .resolve([job], mayFree: false))
        #expect(!polls.asks(held, 3) && polls.asks(held, 9))
        _ = polls.completed(held, .job(job), 9)
        _ = polls.asks(lost, 10)
        #expect(polls.asks(lost, 12) && polls.completed(lost, .jobs([]), 12) == .resolve([], mayFree: true))
    }

    @Test("JobPollSchedule: a poll's slot is free again after its result, also if the lease is gone")
    func places() {
        var polls = JobPollSchedule()
        for round in 0..<20 {
            let leases = (0..<40).map { lease(UInt64(round * 100 + $0), .draining) }
            let asked = polls.due(leases, now: at(Double(round)), room: .max)
            #expect(asked.count > JobPollSchedule.maxPolls / 2)
            _ = polls.record([], now: at(Double(round)))
            for lease in asked {
                _ = polls.completed(
                    lease, .unknown(.failed), polledAt: at(Double(round)), now: at(Double(round)), jitter: 1)
            }
        }
    }

    @Test("JobPollSchedule: a lease of a day is reported once, and stays")
    func overdue() {
        let polls = Watches()
        let leases = [lease(1, since: 0), lease(2, since: 5000)]
        _ = polls.due(leases, now: at(0), room: 8)
        let day = JobPollSchedule.overdueMilliseconds
        #expect(polls.overdue(leases, day - 1).count == 0)
        let first = polls.overdue(leases, day)
        #expect(first.new == [leases[0]] && first.count == 1)
        _ = polls.due(leases, now: at(1), room: 8)
        let second = polls.overdue(leases, day + 5000)
        #expect(second.new == [leases[1]] && second.count == 2)
        #expect(polls.overdue(leases, 3 * day).new == [])
    }
}
