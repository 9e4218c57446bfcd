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
    private var watches = JobPollSchedule()

    func due(_ leases: [PolledLease], now: Instant, room: Int) -> [PolledLease] {
        watches.due(leases, now: now, room: room)
    }

    func asks(_ lease: PolledLease, _ seconds: Double) -> Bool { due([lease], now: at(seconds), room: 8) == [lease] }

    func answered(_ lease: PolledLease, _ answer: JobStatus, _ seconds: Double) -> JobPollSchedule.Action {
        watches.answered(lease, answer, askedAt: at(seconds), now: at(seconds), jitter: 1)
    }

    func resolved(_ lease: PolledLease, _ resolution: LeaseTable.Resolution, _ seconds: Double) {
        watches.resolved(lease, resolution, askedAt: at(seconds), now: at(seconds))
    }

    func overdue(_ leases: [PolledLease], _ epochMilliseconds: Int64) -> (new: [PolledLease], count: Int) {
        watches.overdue(leases, epochMilliseconds: epochMilliseconds)
    }
}

@Suite("Job watches")
struct JobPollScheduleTests {
    @Test("A job is asked about after a second, then ever more rarely, at least every 15 seconds")
    func backOff() {
        let watches = Watches()
        var asked: [Double] = []
        for tick in 0..<200 {
            guard watches.asks(lease(), Double(tick)) else { continue }
            asked.append(Double(tick))
            #expect(watches.answered(lease(), tick % 2 == 0 ? .unknown(.failed) : .job(job), Double(tick)) != .vanished)
        }
        #expect(asked.first == 1)
        let gaps = zip(asked.dropFirst(), asked).map { $0 - $1 }
        #expect(gaps.first == 1 && gaps.last == 15)
        #expect(zip(gaps.dropFirst(), gaps).allSatisfy { $0 >= $1 })
    }

    @Test("Of many leases only so many are asked about at once, and none twice before all were once")
    func fairness() {
        let watches = Watches()
        let leases = (1...40).map { lease(UInt64($0), family: .airweave) }
        var asked: [UInt64: Int] = [:]
        #expect(watches.due(leases, now: at(0), room: 8) == [])
        for tick in 1...30 {
            let due = watches.due(leases, now: at(Double(tick)), room: 8)
            #expect(due.count <= 8)
            for lease in due {
                asked[lease.serial, default: 0] += 1
                _ = watches.answered(lease, .job(job), Double(tick))
            }
            let counts = leases.map { asked[$0.serial, default: 0] }
            #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
        }
        #expect(asked.count == 40)
        #expect(watches.due(leases, now: at(99), room: -1) == [])
    }

    @Test("While a question is under way there is no other about the same lease")
    func oneQuestion() {
        let watches = Watches()
        #expect(!watches.asks(lease(), 0) && watches.asks(lease(), 1))
        #expect(!watches.asks(lease(), 2) && !watches.asks(lease(), 90))
        #expect(watches.answered(lease(), .job(job), 1) == .shown(job))
        #expect(watches.asks(lease(), 92))
    }

    @Test("A job is gone when it was not found twice, five seconds apart, and not seen in between")
    func notFound() {
        let watches = Watches()
        var actions: [Double: JobPollSchedule.Action] = [:]
        for tick in 0..<20 where watches.asks(lease(), Double(tick)) {
            actions[Double(tick)] = watches.answered(lease(), tick == 2 ? .job(job) : .notFound, Double(tick))
        }
        #expect(actions[1] == .nothing && actions[2] == .shown(job))
        let missing = actions.filter { $0.key > 2 }.sorted { $0.key < $1.key }
        let first = missing[0].key
        for (time, action) in missing { #expect(action == (time >= first + 5 ? .vanished : .nothing), "\(time)") }
        #expect(missing.contains { $0.value == .vanished })
    }

    @Test("A failure says nothing, neither that a job is there nor that it is not")
    func failure() {
        let watches = Watches()
        _ = watches.asks(lease(), 0)
        #expect(watches.asks(lease(), 1) && watches.answered(lease(), .notFound, 1) == .nothing)
        #expect(watches.asks(lease(), 3) && watches.answered(lease(), .unknown(.refused), 3) == .nothing)
        #expect(watches.asks(lease(), 9) && watches.answered(lease(), .notFound, 9) == .vanished)
    }

    @Test("A lost answer is resolved by a question asked two seconds later")
    func uncertain() {
        let watches = Watches()
        let lease = lease(1, .uncertain)
        #expect(!watches.asks(lease, 0) && !watches.asks(lease, 1.9) && watches.asks(lease, 2))
        #expect(watches.answered(lease, .jobs([job]), 2) == .resolve([job], mayFree: true))
    }

    @Test("Accepted work is believed not to run only when that was said twice, a second apart")
    func accepted() {
        let watches = Watches()
        let lease = lease(1, .uncertain, isAccepted: true)
        _ = watches.asks(lease, 0)
        #expect(watches.asks(lease, 2) && watches.answered(lease, .jobs([]), 2) == .resolve([], mayFree: false))
        watches.resolved(lease, .idle, 2)
        #expect(!watches.asks(lease, 2.9) && watches.asks(lease, 3))
        #expect(watches.answered(lease, .jobs([]), 3) == .resolve([], mayFree: true))
        // A job that was there meanwhile begins it anew.
        watches.resolved(lease, .open, 3)
        #expect(watches.asks(lease, 20) && watches.answered(lease, .jobs([]), 20) == .resolve([], mayFree: false))
    }

    @Test("A job that is being cancelled is asked about at once, and what was asked before counts no more")
    func draining() {
        let watches = Watches()
        _ = watches.asks(lease(), 0)
        #expect(watches.asks(lease(), 1))
        let draining = lease(1, .draining)
        #expect(watches.asks(draining, 1.5))
        #expect(watches.answered(lease(), .job(job), 1) == .nothing)
        #expect(watches.answered(draining, .job(job), 1.5) == .shown(job))
    }

    @Test("An answer that comes twice, or for a lease that is gone, is no answer")
    func stale() {
        let watches = Watches()
        _ = watches.asks(lease(), 0)
        #expect(watches.asks(lease(), 1) && watches.answered(lease(), .job(job), 1) == .shown(job))
        #expect(watches.answered(lease(), .job(job), 1) == .nothing)
        #expect(watches.due([], now: at(2), room: 8) == [])
        #expect(watches.answered(lease(), .job(job), 1) == .nothing)
    }

    @Test("While a request may be at work only a list that names its job counts")
    func answerTimeout() {
        let watches = Watches()
        var lease = lease(1, .uncertain)
        lease.origin.answerTimeout = .seconds(10)
        lease.sentAt = at(0)
        // Its answer was lost a second later.
        _ = watches.asks(lease, 1)
        var freed: Double?
        for tick in 2..<40 where freed == nil && watches.asks(lease, Double(tick)) {
            let action = watches.answered(lease, .jobs([]), Double(tick))
            if action == .resolve([], mayFree: true) { freed = Double(tick) }
            watches.resolved(lease, .idle, Double(tick))
        }
        #expect(freed == 12, "ten seconds after it was sent, and two to settle")
    }

    @Test("After a restart the time of a lost request is counted anew")
    func patienceAfterRestart() {
        let watches = Watches()
        var lease = lease(1, .uncertain)
        lease.origin.answerTimeout = .seconds(10)
        _ = watches.asks(lease, 0)
        #expect(watches.asks(lease, 11) && watches.answered(lease, .jobs([]), 11) == .resolve([], mayFree: false))
        #expect(watches.asks(lease, 12) && watches.answered(lease, .jobs([]), 12) == .resolve([], mayFree: true))
    }

    @Test("A lost request without a job is not asked about, and holds for as long as it may be at work")
    func requests() {
        var watches = JobPollSchedule()
        var lease = lease(1, .uncertain)
        lease.lifetime = .request
        lease.origin.answerTimeout = .seconds(10)
        lease.sentAt = at(0)
        for tick in 0..<12 {
            #expect(watches.note([lease], now: at(Double(tick))) == [] && watches.next(now: at(Double(tick))).isEmpty)
        }
        #expect(watches.note([lease], now: at(12)) == [lease])
    }

    @Test("Leases of an organization whose questions hang keep no other's from being asked about")
    func hanging() {
        var watches = JobPollSchedule()
        let others = (1...800).map { lease(UInt64($0), family: .airweave) }
        let mine = PolledLease(
            serial: 900, key: LeaseKey(organization: "p", connection: "c"), kind: "sync", family: .aitronos,
            state: .held,
            job: job, since: 0, isAccepted: false)
        _ = watches.note(others, now: at(0))
        let hanging = watches.due(others, now: at(1), room: .max)
        #expect(hanging.count > JobPollSchedule.maxQuestions / 2 && hanging.count < JobPollSchedule.maxQuestions)
        _ = watches.note(others + [mine], now: at(2))
        #expect(watches.due(others + [mine], now: at(3), room: .max).contains(mine))
    }

    @Test("A finished job is asked about within two seconds of a refusal, however many others run")
    func awaited() {
        var watches = JobPollSchedule()
        var leases = (1...800).map { lease(UInt64($0), family: .airweave) }
        var lastAsked = 0
        for tick in 0..<60 {
            leases[400].isAwaited = tick == 50
            // Each answer comes in the second in which it was asked for, so that there is no room for all.
            for lease in watches.due(leases, now: at(Double(tick)), room: .max) {
                if lease.serial == 401 { lastAsked = tick }
                _ = watches.answered(
                    lease, .job(job), askedAt: at(Double(tick)), now: at(Double(tick) + 0.5), jitter: 1)
            }
            if tick == 52 { #expect(lastAsked >= 50) }
        }
    }

    @Test("Many leases of an organization are asked about at once, those that the list does not show one by one")
    func lists() {
        var watches = JobPollSchedule()
        var leases = (1...100).map { lease(UInt64($0)) }
        _ = watches.note(leases, now: at(0))
        leases[4].isAwaited = true
        #expect(watches.note(leases, now: at(1)) == [])
        #expect(watches.next(now: at(1)) == [leases[4]], "somebody waits for it")
        let asked = watches.next(now: at(1))
        #expect(asked.count == 99 && !asked.contains(leases[4]) && watches.next(now: at(1)).isEmpty)
        leases[4].isAwaited = false
        for (index, lease) in asked.enumerated() {
            let answer = index < 90 ? JobStatus.job(job) : .notListed
            _ = watches.answered(lease, answer, askedAt: at(1), now: at(1.5), jitter: 1)
        }
        _ = watches.note(leases, now: at(2))
        for _ in 0..<9 { #expect(watches.next(now: at(2)).count == 1) }
        #expect(watches.next(now: at(2)).isEmpty)
    }

    @Test("A lease that somebody waits for does not wait for the list of many")
    func awaitedInList() {
        var watches = JobPollSchedule()
        var leases = (1...20).map { lease(UInt64($0)) }
        _ = watches.note(leases, now: at(0))
        _ = watches.note(leases, now: at(1))
        let asked = watches.next(now: at(1))
        #expect(asked.count == 20)
        leases[3].isAwaited = true
        _ = watches.note(leases, now: at(3))
        #expect(watches.next(now: at(3)) == [leases[3]] && watches.next(now: at(3)).isEmpty)
        leases[3].isAwaited = false
        #expect(watches.answered(leases[3], .job(job), askedAt: at(3), now: at(3), jitter: 1) == .shown(job))
        // What the list says of it then is older.
        for lease in asked {
            let action = watches.answered(lease, .job(job), askedAt: at(1), now: at(9), jitter: 1)
            #expect(action == (lease.serial == 4 ? .nothing : .shown(job)))
        }
    }

    @Test("The time of a lost request does not begin anew when its lease had another job meanwhile")
    func patienceOfAGuess() {
        let watches = Watches()
        let held = lease(1)
        var lost = lease(1, .uncertain)
        lost.origin.answerTimeout = .seconds(10)
        _ = watches.asks(lost, 0)
        #expect(watches.asks(lost, 2) && watches.answered(lost, .jobs([job]), 2) == .resolve([job], mayFree: false))
        #expect(!watches.asks(held, 3) && watches.asks(held, 9))
        _ = watches.answered(held, .job(job), 9)
        _ = watches.asks(lost, 10)
        #expect(watches.asks(lost, 12) && watches.answered(lost, .jobs([]), 12) == .resolve([], mayFree: true))
    }

    @Test("What is given to questions comes back with their answers, also where the lease is gone")
    func places() {
        var watches = JobPollSchedule()
        for round in 0..<20 {
            let leases = (0..<40).map { lease(UInt64(round * 100 + $0), .draining) }
            let asked = watches.due(leases, now: at(Double(round)), room: .max)
            #expect(asked.count > JobPollSchedule.maxQuestions / 2)
            _ = watches.note([], now: at(Double(round)))
            for lease in asked {
                _ = watches.answered(
                    lease, .unknown(.failed), askedAt: at(Double(round)), now: at(Double(round)), jitter: 1)
            }
        }
    }

    @Test("A lease of a day is told of once, and stays")
    func overdue() {
        let watches = Watches()
        let leases = [lease(1, since: 0), lease(2, since: 5000)]
        _ = watches.due(leases, now: at(0), room: 8)
        let day = JobPollSchedule.overdueMilliseconds
        #expect(watches.overdue(leases, day - 1).count == 0)
        let first = watches.overdue(leases, day)
        #expect(first.new == [leases[0]] && first.count == 1)
        _ = watches.due(leases, now: at(1), room: 8)
        let second = watches.overdue(leases, day + 5000)
        #expect(second.new == [leases[1]] && second.count == 2)
        #expect(watches.overdue(leases, 3 * day).new == [])
    }
}
