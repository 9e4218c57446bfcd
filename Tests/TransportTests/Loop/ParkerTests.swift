import Testing

@testable import Transport

@Suite("Waiting for another task, or for a client that may leave")
struct ParkerTests {
    private func withLoop<R: Sendable>(_ body: @escaping @Sendable (EventLoop) async throws -> R) async throws -> R {
        let loop = try TestLoop()
        loop.start()
        let result = try await loop.run(body)
        try await loop.stop()
        return result
    }

    @Test("Parker: a wait that is not woken ends at its deadline, and not before", arguments: [0, 1, 30, 120])
    func deadline(milliseconds: Int) async throws {
        let (isWoken, isEarly) = try await withLoop { loop in
            let deadline = Instant.now() + .milliseconds(milliseconds)
            let isWoken = await Parker(loop: loop).wait(before: deadline)
            return (isWoken, Instant.now() < deadline)
        }
        #expect(!isWoken)
        #expect(!isEarly)
    }

    @Test("Parker: a waiter resumes on its loop when it is woken, again and again")
    func woken() async throws {
        let seen = try await withLoop { loop in
            let parking = Parker(loop: loop)
            var seen: [Bool] = []
            for _ in 0..<100 {
                // SAFETY: both tasks run on this loop.
                nonisolated(unsafe) let place = parking
                let waker = Task(executorPreference: loop) { unsafe place.wake() }
                seen.append(await parking.wait(before: loop.now + .seconds(20)) && loop.isOnLoop)
                seen.append(await waker.value)
            }
            return seen
        }
        #expect(seen == Array(repeating: true, count: 200))
    }

    @Test("Parker: a wake that comes too early ends the next wait, and only that")
    func early() async throws {
        let seen = try await withLoop { loop in
            let parking = Parker(loop: loop)
            let hadWaiter = parking.wake() || parking.wake()
            let first = await parking.wait(before: loop.now + .seconds(20))
            let second = await parking.wait(before: loop.now)
            return [hadWaiter, first, second, parking.wake()]
        }
        #expect(seen == [false, true, false, false])
    }

    @Test("Parker: a deadline and a wake in the same turn resume once, with the first of them")
    func sameTurn() async throws {
        let rounds = try await withLoop { loop in
            var rounds = 0
            for _ in 0..<5 {
                let parking = Parker(loop: loop)
                nonisolated(unsafe) let place = parking
                let waker = Task(executorPreference: loop) {
                    // At about the time at which the deadline passes.
                    _ = await Parker(loop: loop).wait(before: loop.now + .milliseconds(1))
                    return unsafe place.wake()
                }
                let isWoken = await parking.wait(before: loop.now + .milliseconds(1))
                if await waker.value == isWoken { rounds += 1 }
            }
            return rounds
        }
        #expect(rounds == 5)
    }

    @Test("Parker: a parker that is used often has one entry in the wheel, and none after its deadline")
    func entries() async throws {
        let (during, after) = try await withLoop { loop in
            let parking = Parker(loop: loop)
            for _ in 0..<1000 {
                parking.wake()
                _ = await parking.wait(before: loop.now + .milliseconds(100))
                nonisolated(unsafe) let place = parking
                Task(executorPreference: loop) { unsafe place.wake() }
                _ = await parking.wait(before: loop.now + .milliseconds(100))
            }
            let during = loop.deadlinesForTest
            _ = await Parker(loop: loop).wait(before: loop.now + .milliseconds(300))
            return (during, loop.deadlinesForTest)
        }
        // With a thousand waits of 100 ms the first deadlines may have come round meanwhile.
        #expect((1...3).contains(during))
        #expect(after == 0)
    }

    @Test("Parker: the loop drops a parker at its deadline, however the wait ended")
    func released() async throws {
        let isGone = try await withLoop { loop in
            weak var place: Parker?
            func wait() async {
                let parking = Parker(loop: loop)
                place = parking
                nonisolated(unsafe) let woken = parking
                Task(executorPreference: loop) { unsafe woken.wake() }
                _ = await parking.wait(before: loop.now + .milliseconds(50))
            }
            await wait()
            _ = await Parker(loop: loop).wait(before: loop.now + .milliseconds(200))
            return place == nil
        }
        #expect(isGone)
    }

    @Test("Parker: a deadline further away than the wheel reaches is kept")
    func farDeadline() async throws {
        let isWoken = try await withLoop { loop in
            let parking = Parker(loop: loop)
            nonisolated(unsafe) let place = parking
            Task(executorPreference: loop) { unsafe place.wake() }
            return await parking.wait(before: .distantFuture)
        }
        #expect(isWoken)
    }

    /// What a wait for `upstream` ends with, while `body` is done by another task of the loop.
    private func wait(
        seconds: Int = 20, _ body: @escaping @Sendable (_ client: SocketPair, _ upstream: SocketPair) -> Void
    ) async throws -> (Readiness, again: Readiness, hasFailed: Bool) {
        let (client, upstream) = (try SocketPair(), try SocketPair())
        return try await withLoop { loop in
            let (ours, theirs) = (try loop.watch(upstream.ours), try loop.watch(client.ours))
            Task(executorPreference: loop) { body(client, upstream) }
            let deadline = seconds > 0 ? loop.now + .seconds(seconds) : loop.now
            let readiness = await ours.readable(before: deadline, unlessClosing: theirs)
            let isClosing = theirs.isPeerClosing
            // Nothing of that wait is left behind: the socket can be waited for again, alone.
            let again = await ours.readable(before: loop.now)
            loop.unwatch(ours)
            loop.unwatch(theirs)
            return (readiness, again, isClosing != (readiness == .abandoned))
        }
    }

    @Test("Parker: a wait for an upstream ends when the client leaves")
    func abandoned() async throws {
        let outcome = try await wait { client, _ in shutdownWriting(client.theirs) }
        #expect(outcome == (.abandoned, .deadlinePassed, false))
    }

    @Test("Parker: it ends when the upstream responds or at the deadline, as without a client")
    func notAbandoned() async throws {
        #expect(try await wait { _, upstream in upstream.sendByte() } == (.ready, .deadlinePassed, false))
        #expect(try await wait(seconds: 0) { _, _ in } == (.deadlinePassed, .deadlinePassed, false))
        // Bytes of the client are no end of it.
        let outcome = try await wait { client, upstream in
            client.sendByte()
            upstream.sendByte()
        }
        #expect(outcome == (.ready, .deadlinePassed, false))
    }

    @Test("Parker: when both happen in the same turn the wait ends once, and the other event is not lost")
    func both() async throws {
        for _ in 0..<20 {
            let outcome = try await wait { client, upstream in
                shutdownWriting(client.theirs)
                upstream.sendByte()
            }
            #expect(outcome.0 == .ready || (outcome.0 == .abandoned && outcome.again == .ready))
        }
    }

    @Test("Parker: a client that leaves ends only its own wait, and there may be one wait after another")
    func independent() async throws {
        let (client, upstream) = (try SocketPair(), try SocketPair())
        let seen = try await withLoop { loop in
            let (ours, theirs) = (try loop.watch(upstream.ours), try loop.watch(client.ours))
            var seen: [Readiness] = []
            for _ in 0..<2 {
                Task(executorPreference: loop) { upstream.sendByte() }
                seen.append(await ours.readable(before: loop.now + .seconds(20), unlessClosing: theirs))
            }
            Task(executorPreference: loop) { shutdownWriting(client.theirs) }
            // SAFETY: both tasks run on this loop.
            nonisolated(unsafe) let watch = theirs
            let wait = Task(executorPreference: loop) {
                let readiness = await unsafe watch.readable(before: loop.now + .seconds(20))
                upstream.sendByte()
                return readiness
            }
            seen.append(await ours.readable(before: loop.now + .seconds(20)))
            seen.append(await wait.value)
            loop.unwatch(ours)
            loop.unwatch(theirs)
            return seen
        }
        #expect(seen == [.ready, .ready, .ready, .ready])
    }

    @Test("Parker: the wait ends at once if the client has already left, even if the upstream has responded")
    func goneAlready() async throws {
        let (client, upstream) = (try SocketPair(), try SocketPair())
        let seen = try await withLoop { loop in
            let (ours, theirs) = (try loop.watch(upstream.ours), try loop.watch(client.ours))
            shutdownWriting(client.theirs)
            _ = await theirs.readable(before: loop.now + .seconds(20))
            upstream.sendByte()
            var seen = [await ours.readable(before: loop.now + .seconds(20), unlessClosing: theirs)]
            seen.append(await ours.readable(before: loop.now + .seconds(20)))
            loop.unwatch(ours)
            loop.unwatch(theirs)
            return seen
        }
        #expect(seen == [.abandoned, .ready])
    }
}
