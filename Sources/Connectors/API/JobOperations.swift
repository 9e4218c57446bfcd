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

    /// Starts a job like an ended one that failed or was cancelled.
    func retry(_ id: String, _ request: ConnectorRequest) async throws(APIError) -> ConnectorResponse {
        let earlier = try job(id, request)
        guard earlier.status == .failed || earlier.status == .cancelled else { throw .retryFailed }
        let job = try await begin(
            try definition(earlier.connection.id, request), earlier.kind, streams: earlier.streams,
            removesRecords: earlier.removesRecords, isFullSync: earlier.isFullSync)
        return started(job) { $0.job(job) }
    }

    /// Ignores the body: clients send none, `{}`, or fields that belong into the query.
    func run(
        _ id: String, _ query: QueryParameters, _ request: ConnectorRequest
    ) async throws(APIError) -> ConnectorResponse {
        let isFullSync = try query.flag("force_full_sync")
        let job = try await begin(try sourceDefinition(id, request), .sync, isFullSync: isFullSync)
        return started(job) { $0.syncJob(job) }
    }

    /// Makes the cancellation durable, then waits a moment for the job to stop. So a client whose next request comes at once is
    /// not refused because of its own job.
    func cancel(_ id: String, _ request: ConnectorRequest, isAirweave: Bool) async throws(APIError) -> Job {
        let organization = request.organization
        let moment = now()
        try await commit { [runner] state in
            guard let job = state.job(id, of: organization)?.job else { return .refused(.jobNotFound) }
            guard !job.status.isEnd else { return .refused(.hasEnded(job, isAirweave: isAirweave)) }
            // The cancellation is in the journal already.
            guard !job.isCancelRequested else { return .nothingToDo }
            return .change(
                JournalChange([.cancel(job: job.id, at: moment)], organization: organization),
                then: { [id = job.id] outcome in if outcome == .committed { runner.cancel(id) } })
        }
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
    /// Makes a new job durable and starts it, unless the connection has a running job.
    ///
    /// One lock covers the look at the running job and the record of the new one: of many triggers at once exactly one
    /// succeeds.
    ///
    /// A sync starts as soon as it is durable, and does nothing that must happen only once. So its first record says that it
    /// runs. The other kinds erase something when they start, in a second record: see `JobRun`. Returns the job as accepted.
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
        let change = JournalChange([.job(first)])
        try await commit { [store, runner] state in
            guard let index = state.index(of: job.connection) else { return .refused(.connectionNotFound) }
            if let active = state[index].activeJob?.job {
                let wait = state[index].jobs.expectedWait(for: active, at: moment)
                return .refused(.alreadyRunning(active, retryAfterSeconds: wait))
            }
            return .change(
                change, queued: { $0[index].activeJob = .init(first) },
                then: { outcome in
                    if outcome == .committed { return runner.start(first) }
                    // The connection is free, even if the outcome is unknown: the journal cuts this job off before it writes
                    // another one.
                    store.withState { $0[index].activeJob = nil }
                })
        }
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
