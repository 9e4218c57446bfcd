internal import Bytes
internal import JSON
internal import Policy

/// A job in the JSON of an upstream: Aitronos' Job, Airweave's SyncJob, and similar objects.
struct JobPayload: Equatable, Sendable {
    /// In the canonical spelling, by which jobs are compared.
    let id: String
    /// In the upstream's spelling, for paths.
    let spelling: String
    /// The job's connection in canonical spelling; `nil` if the object does not have it.
    let connection: String?
    let status: String
    /// `nil` if the object does not have it.
    let type: String?
    /// Milliseconds since the epoch.
    let startedAt: Int64?
    /// Milliseconds since the epoch; `nil` if the object does not have it.
    let createdAt: Int64?

    /// The maximum length of a status or type; a longer one is not read.
    private static let maxBytes = 64

    /// Whether the job may belong to `connection`: the object names this connection, or none.
    func mayRun(on connection: String) -> Bool { self.connection == nil || self.connection == connection }

    /// The job for a lease. `type` is used if the object has none. `phase`: left out, the documented meaning of the status.
    func job(type: String, location: String?, phase: JobStatuses.Phase? = nil) -> LeaseJob {
        LeaseJob(
            id: id, type: self.type ?? type, status: status, startedAt: startedAt, createdAt: createdAt,
            location: location, phase: phase)
    }
}

extension JobPayload {
    /// The job in a body, bare or one level deep. `nil` for everything else, including damaged JSON and duplicate names.
    ///
    /// An object with only an `id` can be anything; a name, a connection or a type is needed to recognize it as a job.
    static func read(_ body: Span<UInt8>) -> JobPayload? {
        guard let root = JobList.json(body) else { return nil }
        return wrapped(root)
    }

    /// A job can contain another one, such as the job that it repeats. The body is then ambiguous.
    fileprivate static func wrapped(_ value: JSONValue) -> JobPayload? {
        let whole = JobPayload(value, isCalledJob: false)
        var inner: JobPayload?
        if let job = value["job"], job.object != nil {
            inner = JobPayload(job, isCalledJob: true)
        } else if let data = value["data"], data.object != nil {
            inner = JobPayload(data, isCalledJob: false)
        } else {
            return whole
        }
        guard let whole else { return inner }
        return inner == nil || inner?.id == whole.id ? whole : nil
    }

    private init?(_ value: JSONValue, isCalledJob: Bool) {
        guard value.object != nil else { return nil }
        var isKnown = isCalledJob
        // The outer `nil`: the member is invalid. The inner `nil`: the member is absent or null.
        guard let named = Self.identifier(value, "job_id", "jobId"), let plain = Self.identifier(value, "id", nil),
            let ours = Self.identifier(value, "connection_id", "connectionId"),
            let source = Self.identifier(value, "source_connection_id", "sourceConnectionId"),
            let type = Self.text(value, "job_type", "jobType"), let status = Self.text(value, "status", nil)
        else { return nil }
        isKnown = isKnown || named != nil || ours != nil || source != nil || type != nil
        guard let id = named ?? plain, isKnown else { return nil }
        // Without a status, an object counts as a job only if its name or `job_id` shows that it is one.
        guard status != nil || named != nil || isCalledJob else { return nil }
        self.id = id.canonical
        spelling = id.spelling
        connection = (ours ?? source)?.canonical
        self.type = type
        self.status = status ?? "pending"
        let start = ["start_time", "startTime", "started_at", "startedAt"].lazy.compactMap { value[$0]?.string }.first
        startedAt = start.flatMap { RFC3339.epochMilliseconds($0, .missingOffset) }
        let made = ["created_at", "createdAt"].lazy.compactMap { value[$0]?.string }.first
        createdAt = made.flatMap { RFC3339.epochMilliseconds($0, .missingOffset) }
    }

    private struct Identifier: Equatable {
        let spelling: String
        let canonical: String
    }

    /// The id under either name; if both are present, they must agree. The outer `nil` means that the value is not an id.
    private static func identifier(_ value: JSONValue, _ name: String, _ other: String?) -> Identifier?? {
        var found: Identifier?
        for name in [name, other].compactMap({ $0 }) {
            guard let member = value[name], !member.isNull else { continue }
            guard let text = member.string ?? member.integer.flatMap({ $0 >= 0 ? "\($0)" : nil }),
                let canonical = ConnectionID.canonical(text.utf8.span)
            else { return nil }
            if let found, found.canonical != canonical { return nil }
            found = Identifier(spelling: text, canonical: canonical)
        }
        return .some(found)
    }

    private static func text(_ value: JSONValue, _ name: String, _ other: String?) -> String?? {
        var found: String?
        for name in [name, other].compactMap({ $0 }) {
            guard let member = value[name], !member.isNull else { continue }
            guard let text = member.string, (1...maxBytes).contains(text.utf8.count) else { return nil }
            if let found, found != text { return nil }
            found = text
        }
        return .some(found)
    }
}

/// Several jobs in a JSON body.
struct JobList: Equatable, Sendable {
    /// The readable jobs, in the order of the body.
    var jobs: [JobPayload]
    /// The total number of jobs, if the body has it.
    let total: Int?
    /// Whether there are more jobs on another page, if the response says so.
    var hasNextPage: Bool?
    /// The number of unreadable elements. If there are any, a missing job proves nothing.
    let unreadable: Int

    /// The number of elements in the body.
    var count: Int { jobs.count + unreadable }

    /// Reads `{"data": [...], "total": n}`, the same with `jobs`, `items` or `results`, or a bare array; `nil` for everything else.
    static func read(_ body: Span<UInt8>) -> JobList? {
        guard let root = json(body),
            let elements = root.array ?? names.lazy.compactMap({ root[$0]?.array }).first
        else { return nil }
        let jobs = elements.compactMap(JobPayload.wrapped)
        let total = root["total"] ?? Self.descriptions.lazy.compactMap { root[$0]?["total"] }.first
        return JobList(
            jobs: jobs, total: total?.integer.flatMap { Int(exactly: $0) }, hasNextPage: hasNextPage(root),
            unreadable: elements.count - jobs.count)
    }

    /// The members that can hold the elements.
    private static let names = ["data", "jobs", "items", "results"]
    /// The members that can describe the page.
    private static let descriptions = ["pagination", "meta", "page", "links"]
    /// The members that link to the next page, or say that there is one.
    private static let next = [
        "next", "next_cursor", "nextCursor", "next_page", "nextPage", "next_page_token", "nextPageToken", "next_token",
        "nextToken", "next_url", "nextUrl", "next_link", "nextLink", "@odata.nextLink", "has_more", "hasMore",
        "has_next",
        "hasNext",
    ]

    private static func hasNextPage(_ root: JSONValue) -> Bool? {
        let objects = [root] + descriptions.compactMap { root[$0] }
        let values = objects.flatMap { object in next.compactMap { object[$0] } }
        if values.isEmpty { return nil }
        return values.contains(where: meansNextPage)
    }

    /// Whether the value of one of these members means that there is a next page: it is not null, false, the empty string, or an
    /// object with only such values.
    private static func meansNextPage(_ value: JSONValue) -> Bool {
        if let members = value.object { return members.contains { meansNextPage($0.value) } }
        return !value.isNull && value.bool != false && value.string?.isEmpty != true
    }

    /// Reads JSON with limits that admit a thousand jobs with twenty fields each.
    fileprivate static func json(_ body: Span<UInt8>) -> JSONValue? {
        try? JSONValue.read(body, limits: JSONLimits(depth: 16, values: 50_000))
    }
}
