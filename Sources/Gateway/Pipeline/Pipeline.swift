internal import HTTP
internal import Policy
internal import Transport

// The stages of a request, in order. `begin` does trace, `decide` does route to authorize, `pass` does limit to forward; forward
// and relay call normalize; `answer` records.
//
//  stage         | refuses with         | file
//  ------------- | -------------------- | --------------------------------------
//  trace         | -                    | Tracing/TraceContext
//  route         | 404, 405, 400        | Policy/Model/RouteTable  (through DecideStage)
//  authenticate  | 401                  | DecideStage
//  authorize     | 403                  | Policy/PolicySet         (through DecideStage)
//  limit         | 429                  | LimitStage               (attempts here, work after `read`)
//  read          | 413, 415, 400, 422,  | ReadStage, Support/FieldSpelling
//                | 408                  |
//  lease         | 409, 503             | LeaseStage, Leases/
//  forward       | 502, 503, 504        | ForwardStage, Remote/RequestRelay
//  normalize     | -                    | NormalizeStage, Remote/ResponseRelay
//  record        | -                    | RecordStage
extension Worker {
    /// Answers the request whose head `connection` holds, with exactly one response.
    // Not inlined: its frame would be part of every connection's, idle ones included.
    @inline(never)
    func answer(_ connection: inout ServerConnection, _ cache: inout ConnectionCache) async {
        var exchange = begin(connection)
        let response: Response
        switch decide(connection, &exchange, &cache.credential) {
        case .forward(let grant):
            do throws(Failure) { response = try await pass(grant, &connection, &exchange, &cache.caller) } catch {
                response = answer(to: error, &exchange)
            }
        case let decision: response = answer(to: decision, &exchange)
        }
        if !response.isRelayed, !write(response, for: &exchange, to: &connection) {
            // The upstream has nothing to do with what is left.
            exchange.permit = nil
            await finish(response, exchange, to: &connection)
        }
        record(exchange, connection, response)
    }

    // What has nothing to wait for is not awaited: a read of the state goes from head to answer without a suspension point.
    private func pass(
        _ grant: Grant, _ connection: inout ServerConnection, _ exchange: inout Exchange,
        _ caller: inout IdentityFields
    ) async throws(Failure) -> Response {
        mark(.authorize, &exchange)
        if let owner = grant.owner { connection.owner = owner }
        if let status = grant.route.respondStatus { return Response(status: status) }
        try takeAttempt(grant, connection, &exchange)
        let body = try await takeBody(of: &connection, for: grant, &exchange)
        if grant.needsConnection { try await findConnection(in: body, of: connection, for: grant, &exchange) }
        mark(.read, &exchange)
        try takeWork(grant, &exchange)
        mark(.limit, &exchange)
        let lease = try takeLease(grant, connection, &exchange)
        mark(.lease, &exchange)
        let response: Response
        if let remote {
            caller.update(for: grant, connection, exchange.policies, remote)
            response = try await relay(body, for: grant, over: remote, lease, &caller, &connection, &exchange)
        } else {
            response = try await forward(body, for: grant, lease, &connection, &exchange)
        }
        if grant.captures.job != nil, response.status < 300 { await noteCancellation(grant, connection) }
        return response
    }

    /// Answers a read whose answer is in memory, or refuses it. `false`, and nothing done, for any other request.
    ///
    /// The stages of `answer` that a read meets, but on the thread's stack: a task keeps the frames of its async functions
    /// for as long as the connection lives, which would cost each idle one 13 KiB.
    func tryAnswer(_ connection: inout ServerConnection, _ cache: inout ConnectionCache) -> Bool {
        guard connection.head.framing.isNone, connection.head.method.isSafe,
            shared.local?.answersReadsFromMemory ?? false
        else { return false }
        var exchange = begin(connection)
        let response: Response
        switch decide(connection, &exchange, &cache.credential) {
        case .forward(let grant):
            guard grant.route.lease == nil, !grant.needsConnection else { return false }
            if let owner = grant.owner { connection.owner = owner }
            do throws(Failure) { response = try read(grant, connection, &exchange) } catch {
                response = answer(to: error, &exchange)
            }
        case let decision: response = answer(to: decision, &exchange)
        }
        if !write(response, for: &exchange, to: &connection) { connection.output += response.body }
        record(exchange, connection, response)
        return true
    }

    private func read(
        _ grant: Grant, _ connection: borrowing ServerConnection, _ exchange: inout Exchange
    ) throws(Failure) -> Response {
        mark(.authorize, &exchange)
        if let status = grant.route.respondStatus { return Response(status: status) }
        try takeAttempt(grant, connection, &exchange)
        try takeWork(grant, &exchange)
        mark(.limit, &exchange)
        let request = upstreamRequest(connection, [], grant, exchange)
        guard let answer = shared.local?.tryAnswer(request) else { throw Failure(.internalError, at: .forward) }
        mark(.forward, &exchange)
        return normalize(answer, settling: nil, &exchange)
    }

    private func begin(_ connection: borrowing ServerConnection) -> Exchange {
        var exchange = Exchange(trace: trace(connection), policies: policies, startedAt: .now())
        exchange.isHead = connection.head.method == .head
        return exchange
    }

    /// The request was granted and failed: what it had taken for work that never began is given back. A client that leaves, or
    /// stops half way, is not given it back once the upstream may have the request: it could have the work done for nothing.
    private func answer(to failure: Failure, _ exchange: inout Exchange) -> Response {
        if !failure.mayHaveBegunWork, !(failure.origin == .client && exchange.isForwarded) { refundWork(&exchange) }
        note(failure, &exchange)
        return answer(to: .failure(failure), exchange)
    }

    /// Where a request ended and why, for the log.
    func note(_ failure: Failure, _ exchange: inout Exchange) {
        exchange.endingStage = failure.stage
        exchange.origin = failure.origin
        exchange.rejection = .failure(failure)
        guard case .upstream(let upstreamFailure) = failure.kind else { return }
        exchange.cause = upstreamFailure.explanation
        counts.upstreamFailed(upstreamFailure)
    }

    /// The request was not granted.
    private func answer(to decision: Decision, _ exchange: inout Exchange) -> Response {
        switch decision {
        case .refuse(let refusal):
            do throws(Failure) { try takeAttempt(refusal, &exchange) } catch { return answer(to: error, &exchange) }
            exchange.endingStage = refusal.stage
            exchange.origin = .client
            return answer(to: .refusal(refusal, credential: exchange.credentialField), exchange)
        case .options(let allow, _): return Response(status: 204, fields: [(name: "Allow", value: allow)])
        case .forward: preconditionFailure("a grant goes through the stages")
        }
    }

    /// Answers bytes that never became a request.
    func refuse(_ connection: inout ServerConnection, _ failure: Failure) async {
        var exchange = Exchange(trace: TraceContext(random: &random), policies: policies, startedAt: loop.now)
        counts.add(to: .headsRefused)
        exchange.endingStage = failure.stage
        exchange.origin = failure.origin
        exchange.rejection = .failure(failure)
        let response = answer(to: .failure(failure), exchange)
        if !write(response, for: &exchange, to: &connection) { await finish(response, exchange, to: &connection) }
        record(exchange, connection, response)
    }

    private func trace(_ connection: borrowing ServerConnection) -> TraceContext {
        guard let range = connection.head.traceparent else { return TraceContext(random: &random) }
        let value = connection.input.span.extracting(range.offset(by: connection.headStart))
        return TraceContext(traceparent: value, random: &random)
    }
}
