internal import JSON

/// The HTTP face of the service: which operation a request is, and what reads answer.
extension ConnectorService {
    /// Answers a read, or refuses a request that can be refused at once, from memory. `nil` means ``perform(_:)``.
    ///
    /// Reading a connection's state costs about a microsecond: its bytes are ready.
    package func respond(to request: ConnectorRequest) -> ConnectorResponse? {
        let route = ConnectorRoute(request.target)
        do throws(APIError) { return try read(route, request) } catch { return refuse(error, route, request) }
    }

    /// Answers any request. A change is answered when it is durable.
    package func perform(_ request: ConnectorRequest) async -> ConnectorResponse {
        let route = ConnectorRoute(request.target)
        do throws(APIError) {
            if let answer = try read(route, request) { return answer }
            guard request.method == "GET" || request.method == "HEAD" else { return try await write(route, request) }
            let list = try JobList(route, request, store)
            return await sideThreads.run { list.answer() }
        } catch { return refuse(error, route, request) }
    }

    private func refuse(
        _ error: APIError, _ route: ConnectorRoute, _ request: ConnectorRequest
    ) -> ConnectorResponse {
        error.response(traceID: request.traceID, isAirweave: route.isAirweave, now: now())
    }

    private func read(_ route: ConnectorRoute, _ request: ConnectorRequest) throws(APIError) -> ConnectorResponse? {
        // The gateway has seen to this already; another organization's path is like an absent one in any case.
        if let organization = route.organization, organization != request.organization { throw .connectionNotFound }
        let isRead = request.method == "GET" || request.method == "HEAD"
        if isRead, case .state(let id) = route.operation { return try state(of: id, request) }
        guard route.operation != .none else { throw .notFound }
        guard !request.organization.isEmpty else { throw .organizationRequired }
        guard isRead ? route.methods.contains("GET") : route.methods.contains(request.method) else {
            throw .methodNotAllowed(route.methods)
        }
        guard isRead else { return nil }
        switch route.operation {
        case .jobs: return try JobList(route, request, store).tryAnswer()
        case .job(let id):
            let job = try job(id, request)
            return ok { $0.job(job) }
        case .connections: return connections(request)
        case .connection(let id):
            let definition = try definition(id, request)
            return ok { $0.connection(definition) }
        case .sourceConnections: return sourceConnections(request)
        case .sourceConnection(let id):
            _ = try sourceDefinition(id, request)
            let entry = try entry(id, request)
            return ok { writer in
                if let definition = entry.definition { writer.sourceConnection(entry, definition, since: started) }
            }
        case .sourceJobs(let id): return try sourceJobs(id, route, request)
        case .state, .refresh, .clear, .retry, .run, .cancelSourceJob, .none: return nil
        }
    }

    private func write(_ route: ConnectorRoute, _ request: ConnectorRequest) async throws(APIError) -> ConnectorResponse
    {
        switch route.operation {
        case .state(let id): return try await replaceState(of: id, request)
        case .refresh(let id): return try await refresh(id, request)
        case .clear(let id): return try await clear(id, request)
        case .jobs: return try await trigger(request)
        case .job(let id):
            _ = try await cancel(id, request, isAirweave: false)
            return ConnectorResponse(status: 204)
        case .retry(let id): return try await retry(id, request)
        case .run(let id):
            return try await run(id, QueryParameters(request.target, from: route.query), request)
        case .cancelSourceJob(let id, let job):
            let cancelled = try await cancelSourceJob(job, of: id, request)
            return ok { $0.syncJob(cancelled) }
        case .connections, .connection, .sourceConnections, .sourceConnection, .sourceJobs, .none: throw .notFound
        }
    }
}

extension ConnectorService {
    /// 200 with what `body` writes.
    func ok(_ body: (inout JSONWriter) -> Void) -> ConnectorResponse {
        var writer = JSONWriter()
        body(&writer)
        return ConnectorResponse(status: 200, body: writer.bytes)
    }

    private func state(of id: String, _ request: ConnectorRequest) throws(APIError) -> ConnectorResponse {
        let key = ConnectionKey(organization: request.organization, id: id)
        let body = store.withState { state in state.index(of: key).map { state[$0].renderedCursors } }
        guard let body else { throw .connectionNotFound }
        return ConnectorResponse(status: 200, body: body)
    }

    /// A connection of the request's organization.
    func entry(_ id: String, _ request: ConnectorRequest) throws(APIError) -> ServiceState.Entry {
        let key = ConnectionKey(organization: request.organization, id: id)
        let entry = store.withState { state in state.index(of: key).map { state[$0] } }
        guard let entry else { throw .connectionNotFound }
        return entry
    }

    func definition(_ id: String, _ request: ConnectorRequest) throws(APIError) -> ConnectionDefinition {
        let key = ConnectionKey(organization: request.organization, id: id)
        let definition = store.withState { state in state.index(of: key).flatMap { state[$0].definition } }
        guard let definition else { throw .connectionNotFound }
        return definition
    }

    /// A connection that the Airweave family may name.
    func sourceDefinition(_ id: String, _ request: ConnectorRequest) throws(APIError) -> ConnectionDefinition {
        let definition = try definition(id, request)
        guard definition.family == .airweave else { throw .connectionNotFound }
        return definition
    }

    func job(_ id: String, _ request: ConnectorRequest) throws(APIError) -> Job {
        let organization = request.organization
        guard let job = store.withState({ $0.job(id, of: organization)?.job }) else { throw .jobNotFound }
        return job
    }

    private func connections(_ request: ConnectorRequest) -> ConnectorResponse {
        let definitions = entries(of: request.organization).compactMap(\.definition)
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("data")
        writer.beginArray()
        for definition in definitions { writer.connection(definition) }
        writer.endArray()
        writer.name("total")
        writer.integer(definitions.count)
        writer.endObject()
        return ConnectorResponse(status: 200, body: writer.bytes)
    }

    private func sourceConnections(_ request: ConnectorRequest) -> ConnectorResponse {
        var writer = JSONWriter()
        writer.beginArray()
        for entry in entries(of: request.organization) {
            guard let definition = entry.definition, definition.family == .airweave else { continue }
            writer.sourceConnection(entry, definition, since: started)
        }
        writer.endArray()
        return ConnectorResponse(status: 200, body: writer.bytes)
    }

    /// A bare array, newest first.
    private func sourceJobs(
        _ id: String, _ route: ConnectorRoute, _ request: ConnectorRequest
    ) throws(APIError) -> ConnectorResponse {
        let limit = try QueryParameters(request.target, from: route.query).integer("limit", in: 1...1000, default: 100)
        _ = try sourceDefinition(id, request)
        let jobs = try entry(id, request).jobs.all.suffix(limit)
        return ok { writer in
            writer.beginArray()
            for snapshot in jobs.reversed() { writer.syncJob(snapshot.job) }
            writer.endArray()
        }
    }

    private func entries(of organization: String) -> [ServiceState.Entry] {
        store.withState { state in state.indexes(of: organization).map { state[$0] } }
    }
}
