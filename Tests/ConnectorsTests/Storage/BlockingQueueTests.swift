import Foundation
import Synchronization
import Testing

@testable import Connectors

/// The queue between those who ask for something and the threads that do it.
@Suite struct BlockingQueueTests {
    @Test("BlockingQueue: an element that does not fit is refused, and fits when another one is gone")
    func limits() {
        let queue = BlockingQueue<Int>(limits: QueueLimits(elements: 3, bytes: 10)) { $0 }
        #expect(queue.send(5) && queue.send(4) && !queue.send(2) && queue.send(1) && !queue.send(0))
        #expect(queue.withdraw { $0 == 4 } == [4])
        #expect(queue.send(2))
        #expect(queue.receive(atMost: QueueLimits(elements: 1)) == [5])
        #expect(!queue.send(8) && queue.send(7) && !queue.send(0))
        #expect(queue.receive(atMost: QueueLimits()) == [1, 2, 7])
        #expect(!queue.send(11))
        queue.close()
        #expect(!queue.send(1) && queue.receive(atMost: QueueLimits()).isEmpty)
    }

    @Test("BlockingQueue: a receiver takes what fits its limits, and one element at least")
    func receiving() {
        let queue = BlockingQueue<Int> { $0 }
        for size in [9, 3, 3, 3, 1] { #expect(queue.send(size)) }
        #expect(queue.receive(atMost: QueueLimits(bytes: 6)) == [9])
        #expect(queue.receive(atMost: QueueLimits(bytes: 6)) == [3, 3])
        #expect(queue.receive(atMost: QueueLimits(elements: 1, bytes: 6)) == [3])
        #expect(queue.receive(atMost: QueueLimits()) == [1])
        #expect(queue.receive(atMost: QueueLimits(), until: Date()).isEmpty)
    }

    @Test("JournalChange: every change counts for its organization, also a cancellation, whose record names none")
    func organizations() {
        let cancellation = JournalRecord.cancel(job: "job_1", at: Timestamp(milliseconds: 1))
        #expect(JournalChange([cancellation], organization: "org_a").organization == "org_a")
        let key = ConnectionKey(organization: "org_b", id: "conn_1")
        let state = JournalRecord.cursors(key, CursorState(kind: .notSet, members: []))
        #expect(JournalChange([state]).organization == "org_b")
    }

    @Test("BlockingQueue: an owner with elements leaves room for others")
    func shares() {
        let queue = BlockingQueue<String>(
            limits: QueueLimits(elements: 8, bytes: 80), size: { $0.utf8.count }, owner: { String($0.prefix(1)) })
        #expect((0..<8).filter { queue.send("a\($0)") } == [0, 1, 2, 3])
        #expect((0..<8).filter { queue.send("b\($0)") } == [0, 1])
        #expect(queue.withdraw { $0 == "a0" } == ["a0"])
        #expect(queue.receive(atMost: QueueLimits(elements: 2)) == ["a1", "a2"])
        // What is withdrawn or received makes room for its owner.
        #expect(queue.send("a5") && queue.send("a6") && !queue.send("a7"))
        let long = String(repeating: "c", count: 60)
        #expect(queue.send(long) && !queue.send("c"))
        #expect(queue.receive(atMost: QueueLimits()) == ["a3", "b0", "b1", "a5", "a6", long])
    }

    @Test("BlockingQueue: what was received is not held, though others still wait")
    func release() {
        final class Token: Sendable {}
        let queue = BlockingQueue<Token>()
        weak var first: Token?
        do {
            let token = Token()
            first = token
            #expect(queue.send(token) && queue.send(Token()))
        }
        #expect(first != nil)
        #expect(queue.receive(atMost: QueueLimits(elements: 1)).count == 1)
        #expect(first == nil)
    }

    @Test("BlockingQueue: of elements that are withdrawn while they are received, each is one or the other")
    func either() async {
        let (queue, count) = (BlockingQueue<Int>(), 20_000)
        let received = Mutex<[Int]>([])
        let thread = Thread {
            while true {
                let elements = queue.receive(atMost: QueueLimits(elements: 7))
                if elements.isEmpty { return }
                received.withLock { $0 += elements }
            }
        }
        thread.start()
        var withdrawn: [Int] = []
        for number in 0..<count {
            #expect(queue.send(number))
            if number % 5 == 0 { withdrawn += queue.withdraw { $0 % 3 == 0 } }
        }
        queue.close()
        while !thread.isFinished { try? await Task.sleep(for: .milliseconds(1)) }
        #expect((received.withLock { $0 } + withdrawn).sorted() == Array(0..<count))
        #expect(received.withLock { $0 } == received.withLock { $0.sorted() })
    }
}
