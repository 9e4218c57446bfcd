internal import Bytes
internal import JSON

/// The operations that start or cancel a job.
extension ConnectorService {
    func trigger(_ request: ConnectorRequest) async throws(APIError) -> ConnectorResponse {
        let body = try await body(of: request, known: ["connection_id", "connectionId", "job_type", "jobType"])
        let id = try body.string("connection_id", or: "connectionId")
        let type = try body.string("job_type", or: "jobType")
        guard type.hasSameBytes(as: "sync") || type.hasSameBytes(as: "reset") else {
            throw .invalid("job_type", "must be sync or reset")
        }
        let job = try await begin(try definition(id, request), type == "sync" ? .sync : .reset)
        return started(job) { $0.job(job) }
    }

    func refresh(_ id: String, _ request: ConnectorRequest) async throws(APIError) -> ConnectorResponse {
        let body = try await body(of: request, known: ["streams", "remove_records"])
        let names = try body.strings("streams")
        let removesRecords = try body.flag("remove_records")
        let definition = try definition(id, request)
        let job = try await begin(
            definition, .refresh, streams: try Self.streams(names, of: definition), removesRecords: removesRecords)
        return started(job) { Self.status("refreshing", to: &$0) }
    }

    func clear(_ id: String, _ request: ConnectorRequest) async throws(APIError) -> ConnectorResponse {
        let body = try await body(of: request, known: ["streams"])
        let names = try body.strings("streams")
        let definition = try definition(id, request)
        let job = try await begin(definition, .clear, streams: try Self.streams(names, of: definition))
        return started(job) { Self.status("clearing", to: &$0) }
    }

    /// Starts a job like an ended one that did not do its work.
    func retry(_ id: String, _ request: ConnectorRequest) async throws(APIError) -> ConnectorResponse {
        let earlier = try job(id, request)
        guard earlier.status == .failed || earlier.status == .cancelled else { throw .retryFailed }
        let job = try await begin(
            try definition(earlier.connection.id, request), earlier.kind, streams: earlier.streams,
            removesRecords: earlier.removesRecords, isFullSync: earlier.isFullSync)
        return started(job) { $0.job(job) }
    }

    /// The body is ignored: clients send none, `{}`, or what belongs into the query.
    func run(
        _ id: String, _ query: QueryParameters, _ request: ConnectorRequest
    ) async throws(APIError) -> ConnectorResponse {
        let isFullSync = try query.flag("force_full_sync")
        let job = try await begin(try sourceDefinition(id, request), .sync, isFullSync: isFullSync)
        return started(job) { $0.syncJob(job) }
    }

    /// Accepts the cancelling durably, then gives the job a moment to stop, so that a client that goes on at once
    /// does not meet its own job.
    func cancel(_ id: String, _ request: ConnectorRequest, isAirweave: Bool) async throws(APIError) -> Job {
        let organization = request.organization
        let moment = now()
        var refusal = APIError.unavailable
        let committed = await withCheckedContinuation { continuation in
            let reply = Reply(continuation)
            let problem = store.withState { [runner, committer] state -> APIError? in
                guard let job = state.job(id, of: organization)?.job else { return .jobNotFound }
                guard !job.status.isEnd else { return .hasEnded(job, isAirweave: isAirweave) }
                let isAppended = committer.append([.cancel(job: job.id, at: moment)], reply) {
                    [id = job.id] committed in
                    if committed { runner.cancel(id) }
                }
                return isAppended ? nil : .unavailable
            }
            guard let problem else { return }
            refusal = problem
            reply.send(false)
        }
        guard committed else { throw refusal }
        let known = try job(id, request).id
        await runner.waitForEnd(of: known, atMost: .seconds(2))
        let job = try job(id, request)
        guard !job.status.isEnd || job.status == .cancelled else { throw .hasEnded(job, isAirweave: isAirweave) }
        return job
    }

    func cancelSourceJob(
        _ job: String, of id: String, _ request: ConnectorRequest
    ) async throws(APIError) -> Job {
        let definition = try sourceDefinition(id, request)
        guard try self.job(job, request).connection == definition.key else { throw .jobNotFound }
        return try await cancel(job, request, isAirweave: true)
    }
}

extension ConnectorService {
    /// Makes a new job durable and starts it, unless the connection has one already.
    ///
    /// The look at the running job and the record of the new one happen under one lock: of many triggers at once
    /// exactly one wins.
    ///
    /// A sync starts as soon as it is durable, and nothing else is to be done once. So its first record says that it runs. The
    /// other kinds erase something when they start, which is a second record: see `JobRun`. Returns the job as it was accepted.
    private func begin(
        _ definition: ConnectionDefinition, _ kind: Job.Kind, streams: [String]? = nil, removesRecords: Bool = false,
        isFullSync: Bool = false
    ) async throws(APIError) -> Job {
        let moment = now()
        let job = Job(
            id: newID(definition.family), connection: definition.key, kind: kind,
            streams: streams ?? definition.streams.map(\.name), removesRecords: removesRecords,
            isFullSync: isFullSync, createdAt: moment)
        let first = job.afterTrigger(at: moment)
        var refusal = APIError.unavailable
        let committed = await withCheckedContinuation { continuation in
            let reply = Reply(continuation)
            let problem = store.withState { [store, committer, runner] state -> APIError? in
                guard let index = state.index(of: job.connection) else { return .connectionNotFound }
                if let active = state[index].activeJob?.job {
                    let wait = state[index].jobs.expectedWait(for: active, at: moment)
                    return .alreadyRunning(active, retryAfterSeconds: wait)
                }
                let isAppended = committer.append([.job(first)], reply) { committed in
                    if committed { return runner.start(first) }
                    store.withState { $0[index].activeJob = nil }
                }
                if isAppended { state[index].activeJob = .init(first) }
                return isAppended ? nil : .unavailable
            }
            guard let problem else { return }
            refusal = problem
            reply.send(false)
        }
        guard committed else { throw refusal }
        return job
    }

    private static func streams(
        _ names: [String], of definition: ConnectionDefinition
    ) throws(APIError) -> [String] {
        let all = definition.streams.map(\.name)
        for (index, name) in names.enumerated() where !all.contains(where: name.hasSameBytes) {
            throw .invalid("streams[\(index)]", "is no stream of this connection: \(name)")
        }
        return names.isEmpty ? all : all.filter { names.contains(where: $0.hasSameBytes) }
    }

    private func started(_ job: Job, _ body: (inout JSONWriter) -> Void) -> ConnectorResponse {
        var response = ok(body)
        let family: ConnectionDefinition.Family = job.id.hasPrefix("job_") ? .aitronos : .airweave
        response.startedJob = JobReference(job, family: family)
        return response
    }

    private static func status(_ word: String, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("status")
        writer.string(word)
        writer.endObject()
    }

    private func newID(_ family: ConnectionDefinition.Family) -> String {
        JobID.text(random(), random(), isUUID: family == .airweave)
    }
}
