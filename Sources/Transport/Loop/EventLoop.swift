internal import Glibc
internal import Synchronization

/// One thread that runs the tasks of its connections: an epoll poller, a timer wheel, and a mailbox for other threads.
///
/// `@unchecked Sendable` because an executor has to be. Other threads use only the mailbox, its wakeup and the
/// atomics. Everything else belongs to the loop's own thread, and the entries check that with `preconditionOnLoop`.
@safe package final class EventLoop: TaskExecutor, @unchecked Sendable {
    private var poller: Poller
    private var wheel: TimerWheel
    private var watches: [SocketReadiness?] = []
    /// The parkers with an entry in the wheel, by their generation.
    private var parkings: [UInt32: Parker] = [:]
    private var generation: UInt32 = 0
    private var due: [TimerWheel.Entry] = []
    private var ready: [UnownedJob] = []
    private var running: [UnownedJob] = []
    /// The waiters without a task whose waits have ended: those of the next round, and those of this one.
    private var woken: [Wake] = []
    private var waking: [Wake] = []
    private var spareTasks = SpareTasks()
    private var periodicTasks: [PeriodicTask] = []
    private var isStopping = false
    private var timeSlices = TimeSlices()
    /// The turns that are waited for, in the order in which they begin.
    package var turns: any TurnQueue = TurnsInOrder()
    /// The number of new connections that wait for their turn.
    var waitingHandshakes = 0
    /// The loop's thread. This is zero before `run`.
    private let thread = Atomic<UInt>(0)

    private let mailbox = Mutex<[UnownedJob]>([])
    private let isWakeDue = Atomic<Bool>(false)
    /// `run` has returned.
    private let hasEnded = Atomic<Bool>(false)
    private let wakeup: Wakeup

    /// The time when the sockets were last looked at. It is exact enough for deadlines, and costs nothing.
    package private(set) var now: Instant

    /// The number of the worker that runs the loop. The loops of other threads have negative numbers.
    package let index: Int

    var buffers = BufferPools()
    private var evictionCandidates = EvictionCandidates()

    private struct Wake {
        let waiter: any LoopWaiter
        let end: WaitEnd
    }

    private struct PeriodicTask {
        let period: Duration
        var next: Instant
        let body: () -> Void
    }

    /// Throws if the system has no descriptors left. The loop does nothing before ``run()``.
    package init(index: Int) throws(SystemError) {
        self.index = index
        wakeup = try Wakeup()
        poller = try Poller(wakeup: wakeup)
        now = .now()
        wheel = TimerWheel(now: now)
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isOnLoop {
            ready.append(job)
            return
        }
        mailbox.withLock { $0.append(job) }
        // One eventfd write wakes the loop for any number of jobs.
        if !isWakeDue.exchange(true, ordering: .acquiringAndReleasing) { wakeup.wake() }
    }

    /// Whether the calling thread runs this loop. Always `false` before ``run()``.
    package var isOnLoop: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

    func preconditionOnLoop() {
        precondition(isOnLoop, "this belongs to the loop's own thread")
    }

    /// Runs the loop on the calling thread until `stop`.
    package func run() {
        thread.store(UInt(pthread_self()), ordering: .relaxed)
        while !isStopping {
            takeMail()
            runReadyJobs()
            runPeriodicTasks()
            expireDeadlines()
            poll()
        }
        // Tasks that the stop has ended still have to leave their frames.
        takeMail()
        while let turn = turns.next() { turn.begin(on: self) }
        spareTasks.end()
        runReadyJobs()
        // What waits without a task is held by the loop alone, and ends with it.
        woken.removeAll()
        for watch in watches { watch?.dropWaiter() }
        // A periodic task may hold an object that holds this loop.
        periodicTasks.removeAll()
        hasEnded.store(true, ordering: .releasing)
    }

    /// Ends `run` after the current round. Call it on the loop only.
    package func stop() {
        preconditionOnLoop()
        isStopping = true
    }

    /// Calls `body` on the loop every `period`, first after one period. Call this on the loop, or before `run`.
    package func every(_ period: Duration, _ body: @escaping () -> Void) {
        periodicTasks.append(PeriodicTask(period: period, next: now + period, body: body))
    }

    /// Runs `body` on the loop, soon. Call it from any thread.
    package func perform(_ body: @escaping @Sendable () -> Void) {
        Task(executorPreference: self) { body() }
    }

    private func takeMail() {
        guard isWakeDue.exchange(false, ordering: .acquiringAndReleasing) else { return }
        mailbox.withLock { mail in
            ready.append(contentsOf: mail)
            mail.removeAll(keepingCapacity: true)
        }
    }

    private func runReadyJobs() {
        let executor = unsafe asUnownedTaskExecutor()
        // The rounds have a bound, so that tasks which make each other ready, or always have more to do, cannot keep the sockets
        // waiting. There is time for one turn in any case.
        var rounds = 0
        while isAnyReady || !turns.isEmpty, rounds < 2 || Instant.now() - now < EventLoop.maxRounds {
            timeSlices.beginRound(hasPolled: rounds == 0)
            // Those that sockets woke come first. Then one turn begins in each round.
            if rounds > 0 { turns.next()?.begin(on: self) }
            rounds += 1
            swap(&woken, &waking)
            for wake in waking { wake.waiter.waitEnded(wake.end) }
            waking.removeAll(keepingCapacity: true)
            swap(&ready, &running)
            for job in running { unsafe job.runSynchronously(on: executor) }
            running.removeAll(keepingCapacity: true)
        }
    }

    /// After this time the sockets are looked at, even if tasks are ready.
    private static let maxRounds = Duration.milliseconds(2)

    /// Whether this owner has to let others go first before its next step. A step is as short as a read or a write.
    package func isTurnOver(of owner: ShareOwner, steps: Int = 1) -> Bool {
        !isStopping && timeSlices.isOver(for: owner, steps: steps)
    }

    /// Waits until it is this owner's turn again.
    package func nextTurn(of owner: ShareOwner) async {
        preconditionOnLoop()
        timeSlices.turnAwaited(by: owner)
        // SAFETY: the queue hands each turn out once, and the loop begins it.
        unsafe await withUnsafeContinuation { unsafe turns.add(Turn($0), of: owner) }
        timeSlices.turnBegan(of: owner)
    }

    /// Waits, without a task, until it is this owner's turn again.
    func awaitTurn(of owner: ShareOwner, _ waiter: any LoopWaiter) {
        preconditionOnLoop()
        timeSlices.turnAwaited(by: owner)
        turns.add(Turn(waiter), of: owner)
    }

    /// A waiter without a task has the turn that it has waited for.
    func turnBegan(of owner: ShareOwner) { timeSlices.turnBegan(of: owner) }

    /// Tells `waiter` in the next round that its wait has ended. Not at once: its work counts as work of that round.
    func wake(_ waiter: any LoopWaiter, _ end: WaitEnd) { woken.append(Wake(waiter: waiter, end: end)) }

    /// Lets `waiter` do its work in a task, in this round.
    func beginTask(for waiter: any LoopWaiter) {
        if !spareTasks.give(waiter) { Task(executorPreference: self) { await self.runTask() } }
    }

    private func runTask() async {
        var waiter = spareTasks.takeFirst()
        while waiter != nil {
            await waiter?.work()
            // Not held any longer: only its watch holds a connection that is parked, and nobody one that is over.
            waiter = nil
            guard !isStopping, !spareTasks.isFull else { return }
            // SAFETY: see `SpareTasks`.
            waiter = unsafe await withUnsafeContinuation { unsafe spareTasks.add($0) }
        }
    }

    private var isAnyReady: Bool { !ready.isEmpty || !woken.isEmpty }

    private func runPeriodicTasks() {
        for index in periodicTasks.indices where periodicTasks[index].next <= now {
            periodicTasks[index].next = now + periodicTasks[index].period
            periodicTasks[index].body()
        }
    }

    private func poll() {
        var milliseconds: Int32 = -1
        if isAnyReady || !turns.isEmpty || isStopping {
            milliseconds = 0
        } else {
            var wake = Instant.distantFuture
            for task in periodicTasks { wake = min(wake, task.next) }
            if let tick = wheel.nextTick() { wake = min(wake, tick) }
            if wake != .distantFuture {
                let left = wake > now ? wake.nanoseconds - now.nanoseconds : 0
                milliseconds = Int32(min(left / 1_000_000 + 1, 60_000))
            }
        }
        poller.wait(milliseconds: milliseconds) { descriptor, generation, events in
            guard let watch = self.watch(at: Int(descriptor), generation: generation) else { return }
            watch.occurred(events)
        }
        now = .now()
    }

    private func watch(at slot: Int, generation: UInt32) -> SocketReadiness? {
        guard slot >= 0, slot < watches.count, let watch = watches[slot], watch.generation == generation else {
            return nil
        }
        return watch
    }

    /// Registers a non-blocking socket with the poller until `unwatch`.
    package func watch(_ descriptor: Int32) throws(SystemError) -> SocketReadiness {
        generation &+= 1
        let watch = SocketReadiness(loop: self, descriptor: descriptor, generation: generation)
        try poller.register(descriptor, generation: generation)
        let slot = Int(descriptor)
        while watches.count <= slot { watches.append(nil) }
        watches[slot] = watch
        return watch
    }

    /// Forgets a socket that is about to be closed.
    package func unwatch(_ watch: SocketReadiness) {
        // After the loop's end the last holder drops a watch, on any thread: nothing else touches the loop's things then.
        precondition(isOnLoop || hasEnded.load(ordering: .acquiring), "this belongs to the loop's own thread")
        poller.remove(watch.descriptor)
        watches[Int(watch.descriptor)] = nil
    }

    /// Ends every wait that may be interrupted. A drain ends idle connections this way.
    package func interruptIdle() {
        preconditionOnLoop()
        for watch in watches { watch?.interrupt() }
    }

    /// The watches of the clients' connections that have nothing under way.
    func evictableWatches() -> [SocketReadiness] { watches.compactMap { $0?.idleness == nil ? nil : $0 } }

    /// Closes a connection of this loop in favour of `client`, which gets its place. Returns `false` if none can be closed. Call it
    /// on the loop.
    func evict(for client: UInt64, by limiter: ConnectionLimiter) -> Bool {
        evictionCandidates.evict(from: self, for: client, by: limiter)
    }

    func arm(_ watch: SocketReadiness) {
        let tick = wheel.tick(for: watch.deadline)
        guard tick < watch.armedTick else { return }
        watch.armedTick = tick
        wheel.insert(.init(slot: Int(watch.descriptor), generation: watch.generation, tick: tick))
    }

    func arm(_ parking: Parker) {
        let tick = wheel.tick(for: parking.deadline)
        guard tick < parking.armedTick else { return }
        if parking.armedTick == .max {
            generation &+= 1
            parking.generation = generation
            parkings[generation] = parking
        }
        parking.armedTick = tick
        wheel.insert(.init(slot: EventLoop.parkingSlot, generation: parking.generation, tick: tick))
    }

    /// The slot of the parkers' entries in the wheel, which no socket has.
    private static let parkingSlot = -1

    /// The soonest entry of a parker has come round. Its later ones find nothing, because it gets another generation when it is
    /// armed again.
    private func expire(_ parking: Parker) {
        parking.armedTick = .max
        if parking.deadline <= now {
            parking.deadlinePassed()
        } else if parking.isWaiting {
            arm(parking)
        }
    }

    /// The number of connections that wait for their socket without a task.
    var parkedForTest: Int { watches.count { $0?.isParked ?? false } }

    /// The number of entries in the wheel, stale ones included.
    var deadlinesForTest: Int { wheel.count }

    private func expireDeadlines() {
        wheel.advance(to: now, due: &due)
        guard !due.isEmpty else { return }
        for entry in due {
            if entry.slot == EventLoop.parkingSlot {
                if let parking = parkings.removeValue(forKey: entry.generation) { expire(parking) }
                continue
            }
            // An entry that a sooner one has overtaken is stale. If it were armed again, it would stay for ever.
            guard let watch = watch(at: entry.slot, generation: entry.generation), watch.armedTick == entry.tick else {
                continue
            }
            watch.armedTick = .max
            if watch.deadline <= now {
                watch.deadlinePassed()
            } else if watch.isWaiting {
                arm(watch)
            }
        }
        due.removeAll(keepingCapacity: true)
    }
}
