/// The filter, the order and the page of a list of jobs.
struct JobQuery: Sendable {
    enum Order: String, Sendable, CaseIterable {
        case created
        case updated
    }

    /// Statuses that clients may ask for, but no job of this service has.
    private static let foreignStatuses = ["queued", "incomplete"]

    let connection: String?
    let kind: Job.Kind?
    /// `nil` is any.
    let status: Job.Status?
    /// The query asks for a status that no job has.
    let matchesNothing: Bool
    let createdFrom: Timestamp?
    let createdTo: Timestamp?
    let order: Order
    let isDescending: Bool
    let limit: Int
    let offset: Int

    init(_ query: QueryParameters) throws(APIError) {
        connection = try query.value("connection_id", or: "connectionId")
        let type = try query.value("job_type", or: "jobType")
        kind = type.flatMap { Job.Kind(rawValue: $0) }
        if type != nil, kind == nil {
            throw .invalid("job_type", "must be \(Self.list(Job.Kind.allCases.map(\.rawValue)))")
        }
        let word = try query.value("status")
        status = word.flatMap { Job.Status(rawValue: $0) }
        matchesNothing = word.map { Self.foreignStatuses.contains($0) } ?? false
        if word != nil, status == nil, !matchesNothing {
            throw .invalid(
                "status", "must be \(Self.list(Job.Status.allCases.map(\.rawValue) + Self.foreignStatuses))")
        }
        createdFrom = try Self.moment("created_at_start", "createdAtStart", query)
        createdTo = try Self.moment("created_at_end", "createdAtEnd", query)
        (order, isDescending) = try Self.order(try query.value("order_by", or: "orderBy"))
        limit = try query.integer("limit", in: 1...100, default: 20)
        offset = try query.integer("offset", in: 0...Int.max, default: 0)
    }

    func matches(_ job: Job) -> Bool {
        if let kind, job.kind != kind { return false }
        if let status, job.status != status { return false }
        if let createdFrom, job.createdAt < createdFrom { return false }
        if let createdTo, createdTo < job.createdAt { return false }
        return !matchesNothing
    }

    /// The jobs of the page, and how many jobs match. Each history is in the order of creation; ties keep that order.
    ///
    /// Reads every job once; the memory depends on `offset` and `limit` only, because positions are sorted, not jobs.
    func select(from histories: [[JobHistory.Snapshot]]) -> (page: [JobHistory.Snapshot], total: Int) {
        let wanted = min(offset, histories.reduce(0) { $0 + $1.count }) + limit
        var places: [Place] = []
        var total = 0
        for (history, snapshots) in histories.enumerated() {
            for index in snapshots.indices where matches(snapshots[index].job) {
                total += 1
                let job = snapshots[index].job
                let moment = order == .created ? job.createdAt : job.updatedAt
                places.append(Place(moment: moment.milliseconds, history: history, index: index))
                if places.count >= 2 * wanted + 1024 {
                    sort(&places)
                    places.removeLast(places.count - wanted)
                }
            }
        }
        sort(&places)
        return (places.dropFirst(offset).prefix(limit).map { histories[$0.history][$0.index] }, total)
    }

    /// The position of a job, and the time that orders it.
    private struct Place {
        let moment: Int64
        let history: Int
        let index: Int
    }

    private func sort(_ places: inout [Place]) {
        places.sort { [isDescending] left, right in
            let (first, second) = isDescending ? (right, left) : (left, right)
            return (first.moment, first.history, first.index) < (second.moment, second.history, second.index)
        }
    }

    private static func moment(
        _ name: String, _ other: String, _ query: QueryParameters
    ) throws(APIError) -> Timestamp? {
        guard let text = try query.value(name, or: other) else { return nil }
        guard let moment = Timestamp(iso8601: text) else {
            throw .invalid(name, "must be an ISO 8601 date and time such as 2024-01-01T00:00:00Z")
        }
        return moment
    }

    private static func order(_ text: String?) throws(APIError) -> (Order, isDescending: Bool) {
        guard let text else { return (.created, false) }
        let parts = text.split(separator: "|", omittingEmptySubsequences: false)
        let order: Order? =
            switch parts.first {
            case "createdAt", "created_at": .created
            case "updatedAt", "updated_at": .updated
            default: nil
            }
        let direction = parts.count > 1 ? parts[1].uppercased() : "ASC"
        guard let order, parts.count <= 2, direction == "ASC" || direction == "DESC" else {
            throw .invalid("order_by", "must be createdAt or updatedAt, then |ASC or |DESC")
        }
        return (order, direction == "DESC")
    }

    private static func list(_ words: [String]) -> String {
        words.dropLast().joined(separator: ", ") + " or " + (words.last ?? "")
    }
}
