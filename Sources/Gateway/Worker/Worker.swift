internal import Crypto
internal import HTTP
internal import Policy
internal import Transport

/// One core's share of the gateway: its loop, its listeners, its timers, and the pipeline that answers its requests.
///
/// `@unchecked Sendable` so that tasks of its loop can refer to it: all of it is touched on the loop's thread only.
final class Worker: @unchecked Sendable {
    let loop: EventLoop
    let pipeline: Pipeline
    private let shared: SharedState
    private let counts: WorkerMetrics
    private var context: TLSContext
    private var listeners: [Listener] = []
    private var heapTrimmer = HeapTrimmer()

    init(loop: EventLoop, shared: SharedState, policies: PolicySet, limitTexts: RateLimitTexts, context: TLSContext) {
        self.loop = loop
        self.shared = shared
        let counts = shared.metrics[worker: loop.index]
        self.counts = counts
        pipeline = Pipeline(
            loop: loop, shared: shared, policies: WorkerPolicies(policies, limitTexts: limitTexts, counts: counts),
            counts: counts)
        self.context = context
        loop.turns = FairTurns(counts: counts)
        loop.every(.milliseconds(100)) { [unowned self] in
            pipeline.tick()
            pipeline.recorder.flush()
            trimHeap()
        }
        loop.every(.seconds(1)) { [unowned self] in pipeline.client?.sweep() }
    }

    /// Before the loop runs.
    func listen(on socket: consuming Socket) throws(SystemError) {
        let listener = try Listener(
            loop: loop, socket: socket, limiter: shared.connections.limiter,
            settings: { [unowned self] in pipeline.policies.listenerSettings },
            context: { [unowned self] in context })
        listener.limitReached = { [unowned self] evicted in
            counts.add(to: evicted ? .connectionsEvicted : .connectionsShed)
            shared.connections.limitReached()
        }
        listeners.append(listener)
    }

    /// Begins to accept: once the loop runs or is about to.
    func begin() {
        for index in listeners.indices {
            Task(executorPreference: loop) {
                await self.listeners[index].accept { HTTP1Server(self.pipeline) }
            }
        }
    }

    /// Decides requests that begin from now on.
    func adopt(_ set: PolicySet, _ limitTexts: RateLimitTexts) {
        pipeline.policies = WorkerPolicies(set, limitTexts: limitTexts, counts: counts)
    }

    /// New connections meet the new certificates.
    func adopt(_ context: TLSContext) { self.context = context }

    /// Where requests go that begin from now on; those under way keep their connections.
    func adopt(_ cluster: UpstreamCluster, _ jobs: JobObserver?) {
        pipeline.adopt(UpstreamClient(loop: loop, cluster: cluster), jobs)
    }

    /// Closes the connections that nobody uses: when the loop is about to end.
    func closeUnused() { pipeline.leaveUpstream() }

    /// Stops accepting, closes idle connections and lets requests finish. `Drain` says so first.
    func drain() {
        for listener in listeners { listener.stopAccepting() }
        loop.interruptIdle()
    }

    /// Gives back to the kernel what handshakes have left, those of all workers. One worker does it for the process.
    private func trimHeap() {
        guard loop.index == 0, !WorkThread.isAnyAtLowestPriority else { return }
        let metrics = shared.metrics
        let handshakes =
            metrics.total(of: .handshakesFull) + metrics.total(of: .handshakesResumed)
            + metrics.total(of: .handshakesFailed)
        // Read in this order, so that a connection that opens meanwhile is not counted as closed only.
        let closed = metrics.total(of: .connectionsClosed)
        let connections = metrics.total(of: .connectionsOpened) - closed
        if heapTrimmer.isDue(handshakes: handshakes, connections: connections, now: loop.now) { trimHeapOfProcess() }
    }
}
