import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Transport

@Suite("The event loop")
struct EventLoopTests {
    private func withLoop(_ body: (TestLoop) async throws -> Void) async throws {
        let loop = try TestLoop()
        loop.start()
        try await body(loop)
        try await loop.stop()
    }

    @Test("EventLoop: a task runs on its loop's thread, and is there again after every wait")
    func thread() async throws {
        try await withLoop { loop in
            let isAlwaysThere = try await loop.run { loop in
                var isThere = loop.isOnLoop
                for _ in 0..<10 {
                    await Task.yield()
                    isThere = isThere && loop.isOnLoop
                }
                await Task { _ = 1 + 1 }.value
                return isThere && loop.isOnLoop
            }
            #expect(isAlwaysThere)
            #expect(!loop.loop.isOnLoop)
        }
    }

    @Test("EventLoop: a task that always has one more step at hand lets others have their turn")
    func turns() async throws {
        try await withLoop { loop in
            let turns = try await loop.run { loop in
                let turns = Turns()
                for _ in 0..<2 { Task(executorPreference: loop) { turns.taken.add(1, ordering: .relaxed) } }
                let owner = ShareOwner(organization: 1, token: 1)
                // Only a task that waits for its turn lets the two others run.
                while turns.taken.load(ordering: .relaxed) < 2 {
                    if loop.isTurnOver(of: owner) { await loop.nextTurn(of: owner) }
                }
                return turns.taken.load(ordering: .relaxed)
            }
            #expect(turns == 2)
        }
    }

    private final class Turns: Sendable {
        let taken = Atomic<Int>(0)
        let steps = Atomic<Int>(0)
    }

    @Test("EventLoop: a few steps of each turn are free, whatever was done before")
    func freeSteps() async throws {
        try await withLoop { loop in
            let isOver = try await loop.run { loop in
                let owner = ShareOwner(organization: 1, token: 1)
                while !loop.isTurnOver(of: owner) {}
                await loop.nextTurn(of: owner)
                return (0..<4).map { _ in loop.isTurnOver(of: owner) }
            }
            #expect(isOver == [false, false, false, false])
        }
    }

    @Test("EventLoop: a long step uses up the free ones, and a long round has none")
    func longSteps() async throws {
        try await withLoop { loop in
            let isOver = try await loop.run { loop in
                func owner(_ number: UInt64) -> ShareOwner { ShareOwner(organization: number, token: number) }
                func wait(_ duration: Duration) {
                    let end = Instant.now() + duration
                    while Instant.now() < end {}
                }
                var isOver = [loop.isTurnOver(of: owner(1), steps: 16)]
                wait(.milliseconds(2))
                isOver.append(loop.isTurnOver(of: owner(1), steps: 16))
                isOver.append(loop.isTurnOver(of: owner(2)))
                // So many steps that somebody looks at the clock.
                for number in 3..<300 { _ = loop.isTurnOver(of: owner(UInt64(number))) }
                wait(.milliseconds(9))
                isOver.append(loop.isTurnOver(of: owner(300)))
                return isOver
            }
            #expect(isOver == [false, true, false, true])
        }
    }

    @Test("EventLoop: an owner of many tasks works no longer in a round than one of one task")
    func manyTasksOfOneOwner() async throws {
        try await withLoop { loop in
            let turns = try await loop.run { loop in
                let turns = Turns()
                let many = ShareOwner(organization: 1, token: 1)
                for _ in 0..<100 {
                    Task(executorPreference: loop) {
                        while turns.taken.load(ordering: .relaxed) < 10 {
                            let until = Instant.now() + .microseconds(200)
                            while Instant.now() < until {}
                            turns.steps.add(1, ordering: .relaxed)
                            if loop.isTurnOver(of: many) { await loop.nextTurn(of: many) }
                        }
                    }
                }
                // This one has its turn ten times, and all the others together a few steps in between.
                while turns.taken.add(1, ordering: .relaxed).newValue < 10 { await Task.yield() }
                return turns.steps.load(ordering: .relaxed)
            }
            // Each of the hundred begins with a step, before it asks for more.
            #expect(turns < 1000)
        }
    }

    @Test("EventLoop: an owner some of whose tasks wait has only its free steps for those that come from the sockets")
    func waitingTasks() {
        let owner = ShareOwner(organization: 1, token: 1)
        var slices = TimeSlices()
        /// Whether the first step that is not free is too many.
        func isOverAfterFreeSteps(hasPolled: Bool) -> Bool {
            slices.beginRound(hasPolled: hasPolled)
            let isOver = (0..<13).map { _ in slices.isOver(for: owner) }
            #expect(!isOver.dropLast().contains(true))
            return isOver[12]
        }
        #expect(!isOverAfterFreeSteps(hasPolled: true))
        slices.turnAwaited(by: owner)
        slices.turnAwaited(by: owner)
        #expect(isOverAfterFreeSteps(hasPolled: true))
        // It is the turn of one that waited.
        slices.turnBegan(of: owner)
        #expect(!isOverAfterFreeSteps(hasPolled: false))
        #expect(isOverAfterFreeSteps(hasPolled: true))
        slices.turnBegan(of: owner)
        #expect(!isOverAfterFreeSteps(hasPolled: true))
    }

    @Test("EventLoop: an owner that has waited has its free steps again, however long others wait")
    func pastWaits() {
        let (busy, quiet) = (ShareOwner(organization: 1, token: 1), ShareOwner(organization: 2, token: 2))
        var slices = TimeSlices()
        slices.beginRound(hasPolled: true)
        slices.turnAwaited(by: quiet)
        slices.turnAwaited(by: busy)
        slices.turnBegan(of: quiet)
        slices.beginRound(hasPolled: true)
        // A handshake is longer than all free steps.
        let isOver = (busy: slices.isOver(for: busy, steps: 16), quiet: slices.isOver(for: quiet, steps: 16))
        #expect(isOver.busy)
        #expect(!isOver.quiet)
    }

    @Test("EventLoop: tasks from other threads wake a loop that waits for nothing")
    func wakeUp() async throws {
        try await withLoop { loop in
            // Each one finds the loop asleep, or nearly: a lost wake-up would hang here.
            for round in 0..<500 {
                let answer = try await loop.run { _ in round }
                #expect(answer == round)
            }
        }
    }

    @Test("EventLoop: tasks from many threads all run")
    func manyThreads() async throws {
        try await withLoop { loop in
            let sum = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        var sum = 0
                        for _ in 0..<100 { sum += try await loop.run { _ in 1 } }
                        return sum
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(sum == 2000)
        }
    }

    @Test("EventLoop: a deadline passes late, but never early", arguments: [0, 1, 30, 120])
    func deadline(milliseconds: Int) async throws {
        try await withLoop { loop in
            let pair = try SocketPair()
            let (readiness, isEarly) = try await loop.run { loop in
                let watch = try loop.watch(pair.ours)
                let deadline = loop.now + .milliseconds(milliseconds)
                let readiness = await watch.readable(before: deadline)
                let isEarly = Instant.now() < deadline
                loop.unwatch(watch)
                return (readiness, isEarly)
            }
            #expect(readiness == .deadlinePassed)
            #expect(!isEarly)
        }
    }

    @Test("EventLoop: a waiting task goes on when its socket becomes readable")
    func readable() async throws {
        try await withLoop { loop in
            let pair = try SocketPair()
            async let readiness = loop.run { [pair] loop in
                let watch = try loop.watch(pair.ours)
                // The first edge is the one of a new socket that can be written to.
                var seen = [await watch.writable(before: loop.now + .seconds(20))]
                for _ in 0..<3 {
                    seen.append(await watch.readable(before: loop.now + .seconds(20)))
                    pair.receiveByte()
                    pair.sendByte()
                }
                seen.append(await watch.readable(before: loop.now + .seconds(20)))
                loop.unwatch(watch)
                return seen
            }
            pair.sendByte()
            #expect(try await readiness == Array(repeating: .ready, count: 5))
        }
    }

    @Test("EventLoop: a socket whose peer has closed is readable and says so")
    func peerCloses() async throws {
        try await withLoop { loop in
            let pair = try SocketPair()
            let (readiness, isClosing) = try await loop.run { [pair] loop in
                let watch = try loop.watch(pair.ours)
                let wasClosing = watch.isPeerClosing
                shutdown(pair.theirs, Int32(SHUT_WR))
                let readiness = await watch.readable(before: loop.now + .seconds(20))
                let isClosing = !wasClosing && watch.isPeerClosing
                loop.unwatch(watch)
                return (readiness, isClosing)
            }
            #expect(readiness == .ready)
            #expect(isClosing)
        }
    }

    @Test("EventLoop: a drain interrupts the waits that may be interrupted, and no others")
    func interrupt() async throws {
        try await withLoop { loop in
            let pair = try SocketPair()
            let seen = try await loop.run { [pair] loop in
                let watch = try loop.watch(pair.ours)
                Task(executorPreference: loop) { loop.interruptIdle() }
                var seen = [await watch.readable(before: loop.now + .seconds(20), interruptible: true)]
                Task(executorPreference: loop) {
                    loop.interruptIdle()
                    pair.sendByte()
                }
                seen.append(await watch.readable(before: loop.now + .seconds(20)))
                loop.unwatch(watch)
                return seen
            }
            #expect(seen == [.interrupted, .ready])
        }
    }

    @Test("EventLoop: deadlines that were overtaken by sooner ones leave nothing in the wheel")
    func overtakenDeadlines() async throws {
        try await withLoop { loop in
            let pair = try SocketPair()
            let left = try await loop.run { [pair] loop in
                let watch = try loop.watch(pair.ours)
                for _ in 0..<4 {
                    Task(executorPreference: loop) { loop.interruptIdle() }
                    _ = await watch.readable(before: loop.now + .milliseconds(400), interruptible: true)
                    _ = await watch.readable(before: loop.now + .milliseconds(20))
                }
                // Meanwhile the four long ones come round; only the wait for this one may be left.
                let count = Task(executorPreference: loop) {
                    let other = try loop.watch(pair.theirs)
                    _ = await other.readable(before: loop.now + .milliseconds(700))
                    let left = loop.deadlinesForTest
                    loop.unwatch(other)
                    loop.interruptIdle()
                    return left
                }
                _ = await watch.readable(before: loop.now + .seconds(60), interruptible: true)
                loop.unwatch(watch)
                return try await count.value
            }
            #expect(left == 1)
        }
    }

    @Test("EventLoop: a periodic task runs once a period, first after one period")
    func chores() async throws {
        let loop = try TestLoop()
        let times = Mutex<[Instant]>([])
        let start = Instant.now()
        loop.loop.every(.milliseconds(30)) { times.withLock { $0.append(Instant.now()) } }
        loop.start()
        try waitUntil { times.withLock { $0.count >= 4 } }
        try await loop.stop()
        let seen = times.withLock { $0 }
        for (index, time) in seen.prefix(4).enumerated() {
            #expect(time >= start + .milliseconds(30 * (index + 1)))
        }
    }

    @Test("EventLoop: an event of a socket that was closed is not taken for its successor's")
    func reusedDescriptor() async throws {
        try await withLoop { loop in
            let readiness = try await loop.run { loop in
                var last: Readiness?
                for _ in 0..<50 {
                    let pair = try SocketPair()
                    let watch = try loop.watch(pair.ours)
                    last = await watch.readable(before: loop.now)
                    loop.unwatch(watch)
                    pair.sendByte()
                }
                return last
            }
            #expect(readiness == .deadlinePassed)
        }
    }
}
