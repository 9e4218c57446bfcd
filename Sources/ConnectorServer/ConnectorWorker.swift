internal import Connectors
internal import Gateway
internal import HTTP
internal import Synchronization
internal import Transport

/// One core's part of the standalone connector service: a loop, a listening socket, and the connections it accepts.
///
/// `@unchecked Sendable`: all but the atomic flag is touched on the loop's thread only, once the loop runs.
final class ConnectorWorker: ConnectionHandler, @unchecked Sendable {
    let loop: EventLoop
    private let listener: Listener
    private let service: ConnectorService
    private let bodies: BodyMemoryBudget
    private var random = FastRandom()
    private var epochSeconds: Int64 = 0
    /// `Date: ...` of this second.
    private var dateLine: [UInt8] = []
    private var isDraining = false
    private var hasStoppedAccepting = false
    private let drained = Atomic<Bool>(false)

    init(
        index: Int, socket: consuming Socket, service: ConnectorService, bodies: BodyMemoryBudget,
        options: ConnectorServer.Options
    ) throws(SystemError) {
        loop = try EventLoop(index: index)
        // Longer heads than a gateway takes from its clients: it adds fields of its own to them.
        let settings = Listener.Settings(
            timeouts: options.timeouts, headLimits: HeadLimits(targetBytes: 16_384, headBytes: 32_768, fields: 200))
        listener = try Listener(loop: loop, socket: socket, settings: { settings }, context: { nil })
        self.service = service
        self.bodies = bodies
        loop.turns = FairTurns()
        publishTime()
        loop.every(.milliseconds(100)) { [unowned self] in
            publishTime()
            if hasStoppedAccepting, listener.connections == 0 { drained.store(true, ordering: .releasing) }
        }
    }

    private func publishTime() {
        let seconds = Int64(wallClockNanoseconds() / 1_000_000_000)
        guard seconds != epochSeconds else { return }
        epochSeconds = seconds
        dateLine = HTTPDate.fieldLine(epochSeconds: Int(seconds))
    }

    /// Begins to accept: once the loop runs or is about to.
    func begin() {
        Task(executorPreference: loop) {
            await self.listener.accept { self }
            // Who connected in the last moment has begun to be served after this, and is let go if nothing was asked yet.
            await Task.yield()
            self.loop.interruptIdle()
            self.hasStoppedAccepting = true
        }
    }

    /// Stops accepting and lets requests finish.
    func drain() {
        isDraining = true
        listener.stopAccepting()
    }

    /// Nothing is accepted any more, and the last connection has ended. From any thread.
    var isDrained: Bool { drained.load(ordering: .acquiring) }

    var isStopping: Bool { isDraining }

    func tryRespond(on connection: inout ServerConnection) -> Bool {
        guard connection.request.head.framing.isNone else { return false }
        let call = ConnectorCall(connection.currentRequest, random: &random)
        guard let reply = call.tryRespond(by: service) else { return false }
        connection.owner = call.owner
        append(reply, to: &connection)
        return true
    }

    func respond(on connection: inout ServerConnection) async {
        let call = ConnectorCall(connection.currentRequest, random: &random)
        connection.owner = call.owner
        // Lives until the response is written: so long the body may be in memory.
        var allowance = BodyMemoryPermit()
        let reply: ConnectorReply
        // Who is refused for the head alone does not have to send the body.
        if let early = call.tryRespond(by: service) {
            reply = early
        } else {
            do throws(Failure) {
                let body = try await readBody(of: &connection, for: call.owner, &allowance)
                // Responses to earlier requests of a pipeline must not wait for this one.
                guard await connection.flush() else { throw Failure(.bodyIncomplete, at: .forward) }
                reply = ConnectorReply(await service.perform(call.request(with: body)))
            } catch { reply = call.answer(to: error) }
        }
        append(reply, to: &connection)
        if !reply.closesConnection, connection.canDiscardBody { await connection.discardBody() }
    }

    func refuse(_ reason: UnreadableRequest, on connection: inout ServerConnection) async {
        append(
            ConnectorReply(Failure(reason), trace: TraceContext(random: &random), isAirweave: false), to: &connection)
    }

    private func readBody(
        of connection: inout ServerConnection, for owner: ShareOwner, _ allowance: inout BodyMemoryPermit
    ) async throws(Failure) -> [UInt8] {
        var count = 0
        return try await connection.readBody(
            atMost: ConnectorRequest.maxBodyBytes, &allowance, of: bodies, for: owner, count: &count
        ).bytes
    }

    private func append(_ answer: ConnectorReply, to connection: inout ServerConnection) {
        // Also where the drain began while the request waited for something.
        if isDraining { connection.drainBegan() }
        if answer.closesConnection { connection.mustClose() }
        connection.responseStarted(discardsBody: !answer.closesConnection && connection.canDiscardBody)
        answer.response.append(
            dateLine: dateLine, closes: connection.state.announcesClose, head: connection.request.head,
            to: &connection.output)
    }
}
