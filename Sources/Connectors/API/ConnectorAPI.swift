internal import JSON

/// The HTTP API of the service: finds the operation of a request, and responds to reads.
extension ConnectorService {
    /// The response to a read, or to a request that can be refused from memory. `nil` means ``perform(_:)``.
    ///
    /// Reading a connection's state costs about a microsecond: its bytes are ready.
    package func respond(to request: ConnectorRequest) -> ConnectorResponse? {
        do throws(APIError) { return try read(request) } catch { return refuse(error, request) }
    }

    /// Whether ``respond(to:)`` responds to every GET and HEAD of a path. `path` is an index into ``ConnectorRoute/paths``. This
    /// is `false` for the list of jobs, which may be too long for a loop.
    package static func respondsFromMemory(path: Int) -> Bool { ConnectorRoute.isReadFromMemory[path] }

    /// The response to any request. A change gets its response when it is durable.
    package func perform(_ request: ConnectorRequest) async -> ConnectorResponse {
        do throws(APIError) {
            if let answer = try read(request) { return answer }
            guard request.method == "GET" || request.method == "HEAD" else {
                guard request.body.count <= ConnectorRequest.maxBodyBytes else { throw .bodyTooLong }
                return try await write(request)
            }
            let list = try JobList(request, store)
            return await sideThreads.run { list.answer() }
        } catch { return refuse(error, request) }
    }

    private func refuse(_ error: APIError, _ request: ConnectorRequest) -> ConnectorResponse {
        error.response(traceID: request.traceID, isAirweave: request.route.isAirweave, now: now())
    }

    private func read(_ request: ConnectorRequest) throws(APIError) -> ConnectorResponse? {
        let route = request.route
        // The gateway has checked this already. To a client, another organization's path is the same as an absent one.
        if request.isOfAnotherOrganization { throw .connectionNotFound }
        let isRead = request.method == "GET" || request.method == "HEAD"
        if isRead, route.operation == .state { return try state(of: request.connectionID, request) }
        guard route.operation != .none else { throw .notFound }
        guard !request.organization.isEmpty else { throw .organizationRequired }
        guard isRead ? route.methods.contains("GET") : route.methods.contains(request.method) else {
            throw .methodNotAllowed(route.methods)
        }
        guard isRead else { return nil }
        switch route.operation {
        case .jobs: return try JobList(request, store).tryRespond()
        case .job:
            let job = try job(request.jobID, request)
            return ok { $0.job(job) }
        case .connections: return connections(request)
        case .connection:
            let definition = try definition(request.connectionID, request)
            return ok { $0.connection(definition) }
        case .sourceConnections: return sourceConnections(request)
        case .sourceConnection:
            let id = request.connectionID
            _ = try sourceDefinition(id, request)
            let entry = try entry(id, request)
            return ok { writer in
                if let definition = entry.definition { writer.sourceConnection(entry, definition, since: started) }
            }
        case .sourceJobs: return try sourceJobs(request.connectionID, request)
        case .state, .refresh, .clear, .retry, .run, .cancelSourceJob, .none: return nil
        }
    }

    private func write(_ request: ConnectorRequest) async throws(APIError) -> ConnectorResponse {
        switch request.route.operation {
        case .state: return try await replaceState(of: request.connectionID, request)
        case .refresh: return try await refresh(request.connectionID, request)
        case .clear: return try await clear(request.connectionID, request)
        case .jobs: return try await trigger(request)
        case .job:
            _ = try await cancel(request.jobID, request, isAirweave: false)
            return ConnectorResponse(status: 204)
        case .retry: return try await retry(request.jobID, request)
        case .run: return try await run(request.connectionID, QueryParameters(of: request.target), request)
        case .cancelSourceJob:
            let cancelled = try await cancelSourceJob(request.jobID, of: request.connectionID, request)
            return ok { $0.syncJob(cancelled) }
        case .connections, .connection, .sourceConnections, .sourceConnection, .sourceJobs, .none: throw .notFound
        }
    }
}

extension ConnectorService {
    /// A 200 with the body that `body` writes.
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

    /// A connection of the Airweave family.
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
    private func sourceJobs(_ id: String, _ request: ConnectorRequest) throws(APIError) -> ConnectorResponse {
        let limit = try QueryParameters(of: request.target).integer("limit", in: 1...1000, default: 100)
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
