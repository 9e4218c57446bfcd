internal import JSON
internal import Policy

/// A lease as the journal stores it: enough to poll for its job after a crash.
struct LeaseJournalRecord: Equatable, Sendable {
    let serial: UInt64
    /// 0 in a record of an older gateway.
    var generation: UInt64 = 0
    let key: LeaseKey
    /// The name of its kind; the current policies may not have that kind.
    let kind: String
    let family: RouteFamily
    let since: Int64
    /// `nil` until a response names the job. After a crash, such a lease may or may not have a job.
    let job: LeaseJob?
    /// The request that took the lease; `nil` in a record of an older gateway.
    var traceID: TraceID?
    /// See ``LeaseEntry``.
    var isGuess = false
    /// See ``LeaseEntry``; not in a record of an older gateway, except for a guess that it still has.
    var hadGuess = false
    /// Incomplete in a record of an older gateway.
    var origin = LeaseOrigin()
    /// The job is being cancelled.
    var isDraining = false
    /// The job is over, and the settle time had not ended yet.
    var isSettling = false
    /// `nil` in a record of an older gateway.
    var owner: LeaseOwner?
}

/// One change in the journal. Each change stands alone, so losing or repeating one record does no harm to other leases.
enum LeaseChange: Equatable {
    case held(LeaseJournalRecord)
    case freed(UInt64)
    /// Every generation so far is at most this one.
    case generations(upTo: UInt64)
}

extension LeaseChange {
    /// The size of the longest record: a lease with its job, with all names at their maximum length.
    private static let maxBytes = 16_384

    /// The change as a record of the journal.
    func record() -> [UInt8] {
        let record = encode(withLocation: true)
        // Only the paths have no maximum length.
        return record.count > Self.maxBytes ? encode(withLocation: false) : record
    }

    private func encode(withLocation: Bool) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        switch self {
        case .freed(let serial):
            json.name("freed")
            json.integer(serial)
        case .generations(let bound):
            json.name("generations")
            json.integer(bound)
        case .held(let entry):
            json.name("lease")
            json.integer(entry.serial)
            json.name("organization")
            json.string(entry.key.organization)
            json.name("connection")
            json.string(entry.key.connection)
            json.name("kind")
            json.string(entry.kind)
            json.name("family")
            json.string(entry.family.rawValue)
            json.name("since")
            json.integer(entry.since)
            if let traceID = entry.traceID {
                json.name("trace_id")
                json.string(traceID.text)
            }
            if withLocation, !entry.origin.pathStart.isEmpty {
                json.name("path")
                json.string(entry.origin.pathStart)
            }
            if let responseTimeout = entry.origin.responseTimeout {
                json.name("patience")
                json.integer(responseTimeout.wholeMilliseconds)
            }
            if entry.origin.mayRestart {
                json.name("restarts")
                json.bool(true)
            }
            if entry.generation > 0 {
                json.name("generation")
                json.integer(entry.generation)
            }
            if entry.isDraining {
                json.name("draining")
                json.bool(true)
            }
            if entry.isSettling {
                json.name("settling")
                json.bool(true)
            }
            if let owner = entry.owner { owner.write(to: &json) }
            if entry.isGuess {
                json.name("guess")
                json.bool(true)
            }
            if entry.hadGuess {
                json.name("guessed")
                json.bool(true)
            }
            if let job = entry.job { job.write(to: &json, withLocation: withLocation) }
        }
        json.endObject()
        return json.bytes
    }

    /// `nil` for a record that this version does not understand.
    init?(_ payload: Span<UInt8>) {
        guard let json = try? JSONValue.read(payload) else { return nil }
        if let serial = json["freed"]?.integer.flatMap(UInt64.init(exactly:)) {
            self = .freed(serial)
            return
        }
        if let bound = json["generations"]?.integer.flatMap(UInt64.init(exactly:)) {
            self = .generations(upTo: bound)
            return
        }
        guard let serial = json["lease"]?.integer.flatMap(UInt64.init(exactly:)),
            let organization = json["organization"]?.string, let connection = json["connection"]?.string,
            let kind = json["kind"]?.string, let since = json["since"]?.integer
        else { return nil }
        // A record without a known family still proves that there is a lease.
        let family = json["family"]?.string.flatMap(RouteFamily.init) ?? .other
        let responseTimeout = json["patience"]?.integer.map { Duration.milliseconds(min(max($0, 0), 86_400_000)) }
        let origin = LeaseOrigin(
            pathStart: json["path"]?.string ?? "", responseTimeout: responseTimeout,
            mayRestart: json["restarts"]?.bool ?? false)
        self = .held(
            LeaseJournalRecord(
                serial: serial, generation: json["generation"]?.integer.flatMap(UInt64.init(exactly:)) ?? 0,
                key: LeaseKey(organization: organization, connection: connection), kind: kind,
                family: family, since: since, job: json["job"].flatMap(LeaseJob.init),
                traceID: json["trace_id"]?.string.flatMap(TraceID.init), isGuess: json["guess"]?.bool ?? false,
                hadGuess: json["guessed"]?.bool ?? json["guess"]?.bool ?? false, origin: origin,
                isDraining: json["draining"]?.bool ?? false,
                isSettling: json["settling"]?.bool ?? false,
                owner: json["owner"].flatMap(LeaseOwner.init)))
    }
}

extension LeaseOwner {
    fileprivate func write(to json: inout JSONWriter) {
        json.name("owner")
        json.beginObject()
        json.name("subject")
        json.string(subject)
        json.name("token")
        json.string(token)
        json.name("operation")
        json.string(operation)
        if let fingerprint {
            json.name("request")
            json.string(fingerprint.text)
        }
        json.endObject()
    }

    fileprivate convenience init?(_ json: JSONValue) {
        guard let subject = json["subject"]?.string, let token = json["token"]?.string,
            let operation = json["operation"]?.string
        else { return nil }
        self.init(
            subject: subject, token: token, operation: operation,
            fingerprint: json["request"]?.string.flatMap(RequestFingerprint.init))
    }
}

extension LeaseJob {
    func write(to json: inout JSONWriter, withLocation: Bool) {
        json.name("job")
        json.beginObject()
        json.name("id")
        json.string(id)
        json.name("type")
        json.string(type)
        json.name("status")
        json.string(status)
        if let startedAt {
            json.name("started_at")
            json.integer(startedAt)
        }
        if let createdAt {
            json.name("created_at")
            json.integer(createdAt)
        }
        if withLocation, let location {
            json.name("location")
            json.string(location)
        }
        json.endObject()
    }

    init?(_ json: JSONValue) {
        guard let id = json["id"]?.string, let type = json["type"]?.string, let status = json["status"]?.string else {
            return nil
        }
        self.init(
            id: id, type: type, status: status, startedAt: json["started_at"]?.integer,
            createdAt: json["created_at"]?.integer, location: json["location"]?.string)
    }
}

extension Duration {
    fileprivate var wholeMilliseconds: Int64 {
        components.seconds * 1000 + (components.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}
