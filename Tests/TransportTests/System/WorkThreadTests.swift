import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Transport

@Suite("Threads and their priority")
struct WorkThreadTests {
    private final class Seen: Sendable {
        private let seenClass = Atomic<Int32>(-1)
        private let end = Atomic<Bool>(false)
        private let ended = Atomic<Bool>(false)

        /// That of the thread; -1 before it has run.
        var schedulingClass: Int32 { seenClass.load(ordering: .acquiring) }
        var hasEnded: Bool { ended.load(ordering: .acquiring) }

        func lookAtThread() { seenClass.store(sched_getscheduler(0), ordering: .releasing) }
        func mayEnd() { end.store(true, ordering: .releasing) }

        func waitForEnd() {
            while !end.load(ordering: .acquiring) { usleep(1000) }
            ended.store(true, ordering: .releasing)
        }
    }

    /// SCHED_IDLE of `sched(7)`.
    private let lowest: Int32 = 5

    @Test("A thread of lowest priority is in the class of idle work, and the thread that starts it keeps its own class")
    func lowestPriority() throws {
        let before = sched_getscheduler(0)
        let seen = Seen()
        #expect(
            try WorkThread.runAtLowestPriority(name: "lowest", within: .seconds(60)) { seen.lookAtThread() })
        #expect(seen.schedulingClass == lowest)
        #expect(sched_getscheduler(0) == before)
        #expect(before != lowest)
    }

    @Test("A detached thread has the priority of the thread that starts it, unless it gets the lowest one")
    func detachedPriority() throws {
        for (priority, expected) in [(WorkThread.Priority.inherited, sched_getscheduler(0)), (.lowest, lowest)] {
            let seen = Seen()
            #expect(
                WorkThread.detach(name: "detached", priority: priority) { seen.lookAtThread() })
            try waitUntil("the thread has run") { seen.schedulingClass >= 0 }
            #expect(seen.schedulingClass == expected)
        }
    }

    @Test("A wait for a thread of lowest priority ends in time, and the thread goes on")
    func late() throws {
        let seen = Seen()
        #expect(
            try !WorkThread.runAtLowestPriority(name: "late", within: .milliseconds(20)) { seen.waitForEnd() })
        #expect(!seen.hasEnded)
        seen.mayEnd()
        try waitUntil("the thread has ended") { seen.hasEnded }
    }
}
