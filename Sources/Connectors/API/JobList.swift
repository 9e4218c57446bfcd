internal import JSON

/// "List jobs": the query, and the jobs to choose from at one moment.
struct JobList: Sendable {
    /// The maximum of jobs that the caller's event loop looks through.
    private static let maxJobsFromMemory = 2000

    private let query: JobQuery
    /// One history per connection.
    private let histories: [[JobHistory.Snapshot]]

    init(_ request: ConnectorRequest, _ store: StateStore) throws(APIError) {
        let query = try JobQuery(QueryParameters(of: request.target))
        let organization = request.organization
        let wanted = query.connection.map { ConnectionKey(organization: organization, id: $0) }
        self.query = query
        histories = store.withState { state in
            let indexes = wanted.map { state.index(of: $0).map { [$0] } ?? [] } ?? state.indexes(of: organization)
            return indexes.map { state[$0].jobs.all }
        }
    }

    /// `nil` if it would block the caller's other clients for too long.
    func tryRespond() -> ConnectorResponse? {
        histories.reduce(0) { $0 + $1.count } <= Self.maxJobsFromMemory ? answer() : nil
    }

    func answer() -> ConnectorResponse {
        let (page, total) = query.select(from: histories)
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("data")
        writer.beginArray()
        for snapshot in page { writer.job(snapshot.job) }
        writer.endArray()
        writer.name("total")
        writer.integer(total)
        writer.endObject()
        return ConnectorResponse(status: 200, body: writer.bytes)
    }
}
