internal import Bytes
internal import JSON
internal import Policy

/// A job as a JSON object of an upstream shows it: Aitronos' Job, Airweave's SyncJob, and what resembles them.
struct JobPayload: Equatable, Sendable {
    /// In the one spelling that jobs are compared by.
    let id: String
    /// As the upstream wrote it, for paths.
    let spelling: String
    /// The connection it runs on, in its one spelling; `nil` where the object does not say.
    let connection: String?
    let status: String
    /// `nil` where the object does not say.
    let type: String?
    /// Milliseconds since the epoch.
    let startedAt: Int64?
    /// Milliseconds since the epoch; `nil` where the object does not say.
    let createdAt: Int64?

    /// The longest status or type that is believed to be one.
    private static let maxBytes = 64

    /// Whether what the object says of its connection agrees with `connection`.
    func mayRun(on connection: String) -> Bool { self.connection == nil || self.connection == connection }

    /// The job as leases know it; `type` where the object has none of its own.
    func job(type: String, location: String?) -> LeaseJob {
        LeaseJob(id: id, type: self.type ?? type, status: status, startedAt: startedAt, location: location)
    }
}

extension JobPayload {
    /// The job that a body shows, bare or one level deep. `nil` for everything else, damaged JSON and doubled names included.
    ///
    /// An object that has only an `id` may be anything; it is a job where its name, its connection or its type says so.
    static func read(_ body: Span<UInt8>) -> JobPayload? {
        guard let root = JobList.json(body) else { return nil }
        return wrapped(root)
    }

    /// A job may have another in it, such as the one that it repeats. Which of the two is meant is then not clear.
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
        // `nil`: the member is absent or null. `.none` of the outer optional: it is there and wrong.
        guard let named = Self.identifier(value, "job_id", "jobId"), let plain = Self.identifier(value, "id", nil),
            let ours = Self.identifier(value, "connection_id", "connectionId"),
            let source = Self.identifier(value, "source_connection_id", "sourceConnectionId"),
            let type = Self.text(value, "job_type", "jobType"), let status = Self.text(value, "status", nil)
        else { return nil }
        isKnown = isKnown || named != nil || ours != nil || source != nil || type != nil
        guard let id = named ?? plain, isKnown else { return nil }
        // Without a status an object is a job only where it is sure to be one.
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

    /// The id under either name; they must agree where both are there. The outer `nil` is for what is no id.
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

/// Several jobs as a JSON body shows them.
struct JobList: Equatable, Sendable {
    /// Those that could be read, in the order of the body.
    var jobs: [JobPayload]
    /// How many there are in all, where the body says so.
    let total: Int?
    /// Whether there are more of them elsewhere, where the answer says so.
    var goesOn: Bool?
    /// Elements that could not be read: what is not in the list then proves nothing.
    let unreadable: Int

    /// How many elements the body has.
    var count: Int { jobs.count + unreadable }

    /// Reads `{"data": [...], "total": n}`, the same with `jobs`, `items` or `results`, or a bare array; `nil` for everything else.
    static func read(_ body: Span<UInt8>) -> JobList? {
        guard let root = json(body),
            let elements = root.array ?? names.lazy.compactMap({ root[$0]?.array }).first
        else { return nil }
        let jobs = elements.compactMap(JobPayload.wrapped)
        let total = root["total"] ?? Self.descriptions.lazy.compactMap { root[$0]?["total"] }.first
        return JobList(
            jobs: jobs, total: total?.integer.flatMap { Int(exactly: $0) }, goesOn: goesOn(root),
            unreadable: elements.count - jobs.count)
    }

    /// Under which the elements may be.
    private static let names = ["data", "jobs", "items", "results"]
    /// Where bodies describe their pages.
    private static let descriptions = ["pagination", "meta", "page", "links"]
    /// The names of what leads to the next one, and of what only says that there is one.
    private static let next = [
        "next", "next_cursor", "nextCursor", "next_page", "nextPage", "next_page_token", "nextPageToken", "next_token",
        "nextToken", "next_url", "nextUrl", "next_link", "nextLink", "@odata.nextLink", "has_more", "hasMore",
        "has_next",
        "hasNext",
    ]

    private static func goesOn(_ root: JSONValue) -> Bool? {
        let objects = [root] + descriptions.compactMap { root[$0] }
        let said = objects.flatMap { object in next.compactMap { object[$0] } }
        if said.isEmpty { return nil }
        return said.contains(where: isSaid)
    }

    /// Null, false and the empty text stand for none, and so does an object of nothing else.
    private static func isSaid(_ value: JSONValue) -> Bool {
        if let members = value.object { return members.contains { isSaid($0.value) } }
        return !value.isNull && value.bool != false && value.string != ""
    }

    /// Enough for a thousand jobs of twenty fields each.
    fileprivate static func json(_ body: Span<UInt8>) -> JSONValue? {
        try? JSONValue.read(body, limits: JSONLimits(depth: 16, values: 50_000))
    }
}
