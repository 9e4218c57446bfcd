internal import Crypto
internal import HTTP
internal import Policy
internal import Transport

/// What one core has for itself: its loop, and everything a request needs without asking another thread.
///
/// `@unchecked Sendable` so that tasks of its loop can refer to it: all of it is touched on the loop's thread only.
final class Worker: @unchecked Sendable {
    let loop: EventLoop
    let shared: SharedState
    let hasher = SHA256()
    var random = FastRandom()
    /// The policy set for requests that begin now; replaced by a message to the loop.
    var policies: CompiledPolicies
    var context: TLSContext
    /// The way to a remote upstream; `nil` where it is in this process.
    private(set) var remote: UpstreamClient?
    /// What is known of a remote upstream's jobs.
    var jobs: JobObserver?
    /// `Date: ...` of this second, line end included.
    private(set) var dateLine: [UInt8] = []
    /// How nearly every answer begins: status 200, this second's date, and JSON of the length that follows.
    private(set) var usualPrefix: [UInt8] = []
    private(set) var epochSeconds: Int64 = 0
    private var listeners: [Listener] = []
    let counts: WorkerMetrics
    var accessLog: AccessLogBuffer
    /// Each answer is the last one of its connection.
    private(set) var isDraining = false
    /// Connections end as soon as nothing is under way on them.
    private(set) var isStopping = false
    var heapTrim = HeapTrimmer()

    init(loop: EventLoop, shared: SharedState, policies: PolicySet, limitTexts: RateLimitTexts, context: TLSContext) {
        self.loop = loop
        self.shared = shared
        counts = shared.metrics[worker: loop.index]
        accessLog = AccessLogBuffer(queue: shared.log)
        self.policies = CompiledPolicies(policies, limitTexts: limitTexts, counts: counts)
        self.context = context
        loop.turns = FairTurns(counts: counts)
        tellTime()
        loop.every(.milliseconds(100)) { [unowned self] in
            tellTime()
            accessLog.flush()
            trimHeap()
        }
        loop.every(.seconds(1)) { [unowned self] in remote?.sweep() }
    }

    private func tellTime() {
        let seconds = Int64(wallClockNanoseconds() / 1_000_000_000)
        guard seconds != epochSeconds else { return }
        epochSeconds = seconds
        dateLine = HTTPDate.fieldLine(epochSeconds: Int(seconds))
        usualPrefix = HTTPStatus.line(200) + dateLine + Worker.jsonLine
    }

    /// Before the loop runs.
    func listen(on socket: consuming Socket) throws(SystemError) {
        let listener = try Listener(
            loop: loop, socket: socket, room: shared.connections.room,
            settings: { [unowned self] in policies.listenerSettings },
            context: { [unowned self] in context })
        listener.ranShort = { [unowned self] evicted in
            counts.add(to: evicted ? .connectionsEvicted : .connectionsShed)
            shared.connections.ranShort()
        }
        listeners.append(listener)
    }

    /// Begins to accept: once the loop runs or is about to.
    func begin() {
        for index in listeners.indices {
            Task(executorPreference: loop) {
                await self.listeners[index].accept { connection in await self.serve(&connection) }
            }
        }
    }

    /// Decides requests that begin from now on.
    func adopt(_ set: PolicySet, _ limitTexts: RateLimitTexts) {
        policies = CompiledPolicies(set, limitTexts: limitTexts, counts: counts)
    }

    /// Where requests go that begin from now on; those under way keep their connections.
    func adopt(_ cluster: UpstreamCluster) { remote = UpstreamClient(loop: loop, cluster: cluster) }

    /// Closes the connections that nobody uses: when the loop is about to end.
    func closeUnused() { remote = nil }

    /// From now on each answer is the last one of its connection, so that clients go elsewhere and lose no request.
    func announceDrain() { isDraining = true }

    /// Stops accepting, closes idle connections and lets requests finish.
    func drain() {
        announceDrain()
        isStopping = true
        for listener in listeners { listener.stopAccepting() }
        loop.interruptIdle()
    }
}
