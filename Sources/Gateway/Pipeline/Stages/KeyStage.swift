internal import HTTP
internal import Policy
internal import Transport

/// The idempotency key of a request: reads it before the body, finds what became of the first request with it, and tells the record
/// of the first one how it ended. `AdmitStage` opens the record together with lease and limits.
struct KeyStage {
    let records: IdempotencyTable
    /// Where requests wait for the first one with their key.
    let waitingRoom: WaitingRoom
    let loop: EventLoop
    /// A gateway that is about to end lets nobody wait.
    let drain: Drain
    private let fingerprints: RequestFingerprints

    init(
        records: IdempotencyTable, fingerprints: RequestFingerprints, waitingRoom: WaitingRoom, loop: EventLoop,
        drain: Drain
    ) {
        self.records = records
        self.fingerprints = fingerprints
        self.waitingRoom = waitingRoom
        self.loop = loop
        self.drain = drain
    }

    /// Reads the key, unless the route ignores it. Most requests have none.
    func readKey(_ grant: Grant, _ request: borrowing Request, _ exchange: inout Exchange) throws(Failure) {
        switch grant.route.idempotency {
        case .ignore: return
        case .allow where !request.head.has(.idempotencyKey): return
        case .allow, .required: break
        }
        guard !request.head.method.isSafe else { return }
        try readField(grant, request, &exchange)
    }

    @inline(never)
    private func readField(
        _ grant: Grant, _ request: borrowing Request, _ exchange: inout Exchange
    ) throws(Failure) {
        guard let organization = grant.organization, let principal = grant.principal else { return }
        var key: IdempotencyKey?
        for value in request.head.values(of: .idempotencyKey) {
            guard key == nil else {
                throw Failure(.invalidIdempotencyKey(rule: IdempotencyKey.Malformed.several.rule), at: .read)
            }
            do throws(IdempotencyKey.Malformed) { key = try IdempotencyKey(request.headBytes.extracting(value)) } catch
            {
                throw Failure(.invalidIdempotencyKey(rule: error.rule), at: .read)
            }
        }
        if let key {
            let id = fingerprints.recordID(
                of: key, organization: organization.id, subject: principal.subject, operation: grant.route.id)
            exchange.keyed = KeyedRequest(id: id)
        } else if grant.route.idempotency == .required {
            throw Failure(.missingIdempotencyKey, at: .read)
        }
    }

    /// Whether an earlier request had the key, so that this one will most likely begin no work.
    func hasRecord(_ exchange: borrowing Exchange) -> Bool {
        guard let keyed = exchange.keyed else { return false }
        return records.hasRecord(keyed.id, now: loop.now)
    }

    /// The response to the first request with the key; `nil` if this is the first one, or has no key.
    func findResponse(
        _ grant: Grant, _ body: ForwardedBody, _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Response? {
        guard let keyed = exchange.keyed else { return nil }
        return try await findResponse(for: keyed, grant, body, &stream, &exchange)
    }

    // Not inlined, so that its frame is not part of those of requests without a key.
    @inline(never)
    private func findResponse(
        for keyed: KeyedRequest, _ grant: Grant, _ body: ForwardedBody, _ stream: inout some ClientStream & ~Copyable,
        _ exchange: inout Exchange
    ) async throws(Failure) -> Response? {
        let claim =
            if let known = keyed.claim { known } else { try claim(keyed.id, grant, body, stream.request, exchange) }
        keyed.claim = claim
        var finding = records.find(claim, now: loop.now)
        if case .inProgress? = finding {
            finding = try await awaitFirst(claim, grant, &stream, &exchange)
        }
        return try finding.map { finding throws(Failure) in try respond(to: finding, keyed, &exchange) }
    }

    private func claim(
        _ id: IdempotencyRecordID, _ grant: Grant, _ body: ForwardedBody, _ request: borrowing Request,
        _ exchange: borrowing Exchange
    ) throws(Failure) -> IdempotencyClaim {
        guard let fingerprint = fingerprints.keyedFingerprint(of: request, body), let organization = grant.organization
        else { throw Failure(.internalError, at: .admit) }
        return IdempotencyClaim(
            id: id, organization: organization.id, fingerprint: fingerprint,
            keep: exchange.policies.set.settings.idempotency.keep)
    }

    /// The longest wait for the first request with a key.
    private static let maxWait = 60

    /// Waits for the first request with the key, as long as the client wants (`Prefer: wait`, RFC 7240, section 4.3), at most
    /// ``maxWait``. Returns what the record says then; `nil` if there is none any more.
    private func awaitFirst(
        _ claim: IdempotencyClaim, _ grant: Grant, _ stream: inout some ClientStream & ~Copyable,
        _ exchange: inout Exchange
    ) async throws(Failure) -> IdempotencyFinding? {
        let seconds = min(waitPreference(of: stream.request), Self.maxWait)
        let deadline = loop.now + .seconds(seconds)
        let start = loop.now
        defer { exchange.waited(from: start, to: loop.now) }
        let permit = seconds > 0 ? grant.owner.flatMap(waitingRoom.enter) : nil
        if permit != nil { exchange.appliedWaitSeconds = seconds }
        while true {
            let mayWait = permit != nil && loop.now < deadline && !drain.isAnnounced
            let waiter = mayWait ? Waiter(loop: loop) : nil
            let finding = records.find(claim, now: loop.now, waiter: waiter)
            guard case .inProgress? = finding, let waiter else { return finding }
            // Responses to earlier pipelined requests must not wait for this one.
            let isClientThere = await stream.flush()
            // In short steps, to notice a client that leaves, and news of the lease.
            if isClientThere { _ = await waiter.wait(before: min(deadline, loop.now + .seconds(1))) }
            records.stopWaiting(waiter, for: claim.id)
            if !isClientThere || stream.watch.isPeerClosing { throw Failure(.clientGone, at: .admit) }
        }
    }

    private func waitPreference(of request: borrowing Request) -> Int {
        Preferences(request.head, request.headBytes).wait ?? 0
    }

    /// The request is the first one with its key.
    func opened(_ record: OpenRecord?, _ exchange: inout Exchange) {
        guard let keyed = exchange.keyed else { return }
        keyed.record = record
        keyed.use = .first
    }

    /// The job of another request is the response. The record keeps it, so that the request begins no work when it is sent again after
    /// the end of that job. Returns what the record says if there is one already.
    func keep(
        _ job: LeaseJob, of work: IdempotencyWork, _ exchange: inout Exchange, now: Moment
    ) async throws(Failure) -> Response? {
        guard let keyed = exchange.keyed, let claim = keyed.claim else { return nil }
        switch records.open(claim, now: now) {
        case .opened(let record):
            record.resolve(job, of: work)
            opened(record, &exchange)
            try await waitUntilDurable(&exchange)
            return nil
        case .found(let finding): return try respond(to: finding, keyed, &exchange)
        case .refused(let refusal): throw failure(refusal, &exchange)
        }
    }

    /// No record can be opened.
    func failure(_ refusal: IdempotencyRefusal, _ exchange: inout Exchange) -> Failure {
        exchange.keyed?.use = .refused
        switch refusal {
        case .shareUsed(let seconds):
            return Failure(.idempotency(.shareUsed(retryAfterSeconds: seconds)), at: .admit)
        case .unavailable: return Failure(.idempotency(.storeUnavailable), at: .admit)
        }
    }

    /// The response that a record gives.
    private func respond(
        to finding: IdempotencyFinding, _ keyed: KeyedRequest, _ exchange: inout Exchange
    ) throws(Failure) -> Response {
        exchange.mark(.admit)
        keyed.use = finding.use
        switch finding {
        case .response(let response):
            guard let body = response.body else {
                throw Failure(.idempotency(.responseNotKept(status: response.status)), at: .admit)
            }
            if response.status >= 400 { exchange.endingStage = .admit }
            return Response(replaying: response, body)
        case .job(let job, let work):
            exchange.outcome = .deduplicated
            exchange.startedJob = job.id
            exchange.leaseGeneration = work.generation
            exchange.connectionID = work.lease.connection
            var response = RunningJobResponse.response(job, on: work.lease.connection, work.family)
            response.fields.append(Response.replayedField)
            return response
        case .inProgress(let phase):
            throw Failure(.idempotency(.inProgress(isUnconfirmed: phase == .uncertain)), at: .admit)
        case .unknown: throw Failure(.idempotency(.outcomeUnknown), at: .admit)
        case .reused: throw Failure(.idempotency(.keyReused), at: .admit)
        }
    }

    /// Suspends until the record of the request would survive a crash. Nothing may be sent before that.
    func waitUntilDurable(_ exchange: inout Exchange) async throws(Failure) {
        guard let record = exchange.keyed?.record else { return }
        do throws(OpenRecord.Unavailable) { try await record.waitUntilDurable() } catch {
            exchange.keyed?.use = .refused
            throw Failure(.idempotency(.storeUnavailable), at: .admit)
        }
    }

    /// The request has its response.
    func conclude(_ response: borrowing Response, _ exchange: inout Exchange) {
        guard let keyed = exchange.keyed, let record = keyed.record.take() else { return }
        let stored: StoredResponse? =
            switch response.outcome {
            case .relayed: keyed.relayed
            case .own: StoredResponse(response)
            }
        // A proxy may have turned the request away while the service works on it. Where a lease tells, in about two seconds, the
        // record does not rely on the proxy.
        let isTurnedAway = keyed.isTurnedAway && !record.isFollowed
        record.conclude(
            StoredResponse.event(
                upstream: keyed.upstreamStatus ?? response.status, isTurnedAway: isTurnedAway, stored))
    }

    /// The request has no response of the upstream.
    func conclude(_ failure: Failure, _ exchange: inout Exchange) {
        guard let record = exchange.keyed?.record.take() else { return }
        record.conclude(mayHaveBegun(failure, exchange) ? .lost : .foundNothing)
    }

    private func mayHaveBegun(_ failure: Failure, _ exchange: borrowing Exchange) -> Bool {
        // The upstream has read the request, and refused the gateway's own credential.
        if case .upstream(.credentialRefused) = failure.kind { return false }
        return failure.mayHaveBegunWork || exchange.isForwarded
    }
}

extension IdempotencyFinding {
    fileprivate var use: IdempotencyUse {
        switch self {
        case .response(let response): response.body == nil ? .unknown : .replayed
        case .job: .resolved
        case .inProgress: .inProgress
        case .unknown: .unknown
        case .reused: .reused
        }
    }
}

extension Response {
    /// Shows that the response is that of an earlier request with the same key.
    static var replayedField: (name: String, value: String) { (name: "Idempotent-Replayed", value: "true") }

    /// A kept response, once more.
    fileprivate init(replaying stored: StoredResponse, _ body: [UInt8]) {
        self.init(status: stored.status, contentType: stored.contentType, body: body, errorCode: stored.errorCode)
        for field in stored.fields { fields.append((name: field.name, value: field.value)) }
        fields.append(Self.replayedField)
    }
}

extension StoredResponse {
    /// What is kept of a response of the gateway's own.
    fileprivate init(_ response: borrowing Response) {
        var fields: [Field] = []
        for field in response.fields where Self.isKept(field.name) { fields.append(Field(field.name, field.value)) }
        self.init(
            status: response.status, contentType: response.contentType, fields: fields, body: response.body,
            errorCode: response.errorCode)
    }
}
