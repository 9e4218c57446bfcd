internal import JSON

/// The operation "Update state", which replaces all cursors of a connection.
extension ConnectorService {
    func replaceState(of id: String, _ request: ConnectorRequest) async throws(APIError) -> ConnectorResponse {
        let entry = try entry(id, request)
        let key = entry.key
        let (change, rendered) = try await offLoopIfLong(request) { () throws(APIError) in
            let body = try RequestBody(request.body, known: ["state", "state_type"])
            let state = try Self.cursorState(body, entry)
            return (JournalChange([.cursors(key, state)]), state.rendered())
        }
        let moment = now()
        // One lock covers the look at the running job and the change, so that no job starts in between.
        try await commit { service in
            guard let index = service.index(of: key) else { return .refused(.connectionNotFound) }
            if let active = service[index].activeJob?.job {
                let wait = service[index].jobs.expectedWait(for: active, at: moment)
                return .refused(.stateLocked(active, retryAfterSeconds: wait))
            }
            return .change(change)
        }
        return ConnectorResponse(status: 200, body: rendered)
    }

    /// Reads the new state. In a state of type `stream` every name must be a stream with a cursor that can be compared: a
    /// mistyped name would restart its stream from the beginning. States of other types can have any names.
    private static func cursorState(_ body: RequestBody, _ entry: ServiceState.Entry) throws(APIError) -> CursorState {
        guard let value = body["state"] else { throw .invalid("state", "is required") }
        guard let members = value.object else { throw .invalid("state", "must be an object") }
        let kind = try stateType(body, current: entry.cursors.kind, isEmpty: members.isEmpty)
        if kind == .notSet, !members.isEmpty { throw .invalid("state", "must be empty with state_type not_set") }
        for member in members {
            guard entry.definition?.stream(member.name) != nil else {
                guard kind != .stream else {
                    throw .invalid("state.\(member.name)", "is no stream of this connection")
                }
                continue
            }
            guard kind == .stream else { continue }
            guard member.value.object != nil else { throw .invalid("state.\(member.name)", "must be an object") }
            if let cursor = member.value["cursor"], !cursor.isNull, CursorValue(cursor) == nil {
                throw .invalid("state.\(member.name).cursor", "must be a string or an integer")
            }
        }
        return CursorState(
            kind: kind, members: members.map { .init(name: $0.name, json: body.raw($0.value)) })
    }

    private static func stateType(
        _ body: RequestBody, current: CursorState.Kind, isEmpty: Bool
    ) throws(APIError) -> CursorState.Kind {
        guard let value = body["state_type"], !value.isNull else {
            if isEmpty { return .notSet }
            return current == .notSet ? .stream : current
        }
        guard let kind = value.string.flatMap({ CursorState.Kind(named: $0) }) else {
            throw .invalid("state_type", "must be global, stream, legacy or not_set")
        }
        return kind
    }
}
