internal import Bytes
internal import JSON
internal import Policy

/// A record as the journal stores it.
struct IdempotencyJournalRecord: Equatable, Sendable {
    let serial: UInt64
    let id: IdempotencyRecordID
    let organization: String
    let fingerprint: RequestFingerprint
    /// Milliseconds since the epoch.
    let openedAt: Int64
    let expiresAt: Int64
    let work: IdempotencyWork?
    let state: IdempotencyState
}

/// One change in the journal. Each change stands alone, so losing or repeating one does no harm to other records.
enum IdempotencyChange: Equatable {
    case kept(IdempotencyJournalRecord)
    case dropped(UInt64)
}

extension IdempotencyChange {
    /// The change as a record of the journal: a JSON object, then for a kept response a line feed and its body as it is.
    func record() -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        var body: [UInt8]?
        switch self {
        case .dropped(let serial):
            json.name("dropped")
            json.integer(serial)
        case .kept(let entry):
            entry.write(to: &json)
            if case .completed(let response) = entry.state { body = response.body }
        }
        json.endObject()
        guard let body else { return json.bytes }
        return json.bytes + [.lineFeed] + body
    }

    /// `nil` for a record that this version does not understand.
    init?(_ record: Span<UInt8>) {
        // Strings escape their line feeds, so the first one ends the object.
        let end = record.indices.first { record[$0] == .lineFeed } ?? record.count
        guard let json = try? JSONValue.read(record.extracting(0..<end)) else { return nil }
        if let serial = json["dropped"]?.integer.flatMap(UInt64.init(exactly:)) {
            self = .dropped(serial)
            return
        }
        let body = end < record.count ? record.array(end + 1..<record.count) : nil
        guard let entry = IdempotencyJournalRecord(json, body: body) else { return nil }
        self = .kept(entry)
    }
}

extension IdempotencyJournalRecord {
    fileprivate func write(to json: inout JSONWriter) {
        json.name("record")
        json.integer(serial)
        json.name("id")
        json.string(id.text)
        json.name("organization")
        json.string(organization)
        json.name("request")
        json.string(fingerprint.text)
        json.name("opened")
        json.integer(openedAt)
        json.name("expires")
        json.integer(expiresAt)
        json.name("state")
        json.string(state.phase.rawValue)
        work?.write(to: &json)
        switch state {
        case .started, .uncertain: break
        case .resolved(let job): job.write(to: &json, withLocation: true)
        case .completed(let response): response.write(to: &json)
        }
    }

    fileprivate init?(_ json: JSONValue, body: [UInt8]?) {
        guard let serial = json["record"]?.integer.flatMap(UInt64.init(exactly:)),
            let id = json["id"]?.string.flatMap(IdempotencyRecordID.init),
            let organization = json["organization"]?.string,
            let fingerprint = json["request"]?.string.flatMap(RequestFingerprint.init),
            let openedAt = json["opened"]?.integer, let expiresAt = json["expires"]?.integer
        else { return nil }
        // A record whose state is not understood still proves that the request may have been executed.
        var state = IdempotencyState.uncertain
        switch json["state"]?.string.flatMap(IdempotencyState.Phase.init) {
        case .started: state = .started
        case .resolved: if let job = json["job"].flatMap(LeaseJob.init) { state = .resolved(job) }
        case .completed:
            if let response = json["response"].flatMap({ StoredResponse($0, body: body) }) {
                state = .completed(response)
            }
        case .uncertain, nil: break
        }
        self.init(
            serial: serial, id: id, organization: organization, fingerprint: fingerprint, openedAt: openedAt,
            expiresAt: expiresAt, work: json["lease"].flatMap { IdempotencyWork($0, organization: organization) },
            state: state)
    }
}

extension IdempotencyWork {
    fileprivate func write(to json: inout JSONWriter) {
        json.name("lease")
        json.beginObject()
        json.name("connection")
        json.string(lease.connection)
        json.name("generation")
        json.integer(generation)
        json.name("kind")
        json.string(kind)
        json.name("family")
        json.string(family.rawValue)
        json.endObject()
    }

    fileprivate init?(_ json: JSONValue, organization: String) {
        guard let connection = json["connection"]?.string, let kind = json["kind"]?.string,
            let generation = json["generation"]?.integer.flatMap(UInt64.init(exactly:))
        else { return nil }
        self.init(
            lease: LeaseKey(organization: organization, connection: connection), generation: generation, kind: kind,
            family: json["family"]?.string.flatMap(RouteFamily.init) ?? .other)
    }
}

extension StoredResponse {
    fileprivate func write(to json: inout JSONWriter) {
        json.name("response")
        json.beginObject()
        json.name("status")
        json.integer(status)
        json.name("type")
        json.string(contentType)
        if let errorCode {
            json.name("code")
            json.string(errorCode)
        }
        json.name("fields")
        json.beginArray()
        for field in fields {
            json.string(field.name)
            json.string(field.value)
        }
        json.endArray()
        json.endObject()
    }

    fileprivate init?(_ json: JSONValue, body: [UInt8]?) {
        guard let status = json["status"]?.integer.flatMap(Int.init(exactly:)), (200...499).contains(status),
            let texts = json["fields"]?.array?.map(\.string), texts.count % 2 == 0
        else { return nil }
        var fields: [Field] = []
        for index in stride(from: 0, to: texts.count, by: 2) {
            guard let name = texts[index], let value = texts[index + 1] else { return nil }
            fields.append(Field(name, value))
        }
        self.init(
            status: status, contentType: json["type"]?.string ?? "", fields: fields, body: body,
            errorCode: json["code"]?.string)
    }
}
