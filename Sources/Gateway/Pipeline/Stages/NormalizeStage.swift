internal import HTTP
internal import Policy
internal import Transport

/// The upstream's answer becomes the client's: success bytes untouched, every error the documented envelope. Here it is known
/// whether work began, so here the lease is settled and limits are given back.
struct NormalizeStage {
    let limits: LimitStage
    /// Clients may see the upstream's own words for an error.
    let showsErrors: Bool
    let clock: WallClock

    func normalize(
        _ answer: UpstreamResponse, settling lease: consuming Lease?, _ exchange: inout Exchange, now: Instant
    ) -> Response {
        exchange.startedJob = answer.startedJob?.job.id
        lease?.settle(
            status: answer.status, started: answer.startedJob?.job,
            isTurnedAway: answer.fields.contains { $0.name.spells("retry-after") }, now: clock.milliseconds)
        // A refusal by the upstream means that no work began. After a 5xx nobody knows.
        if (400...499).contains(answer.status) || answer.status == 503 { limits.refundWork(&exchange, now: now) }
        guard answer.status >= 400 else {
            return Response(
                status: answer.status, contentType: answer.contentType, fields: answer.fields, body: answer.body)
        }
        let response = response(toError: answer, &exchange)
        // Also where a rule finds that an error blamed the client for what was wrong behind the gateway.
        if answer.status >= 500 || response.status >= 500 { exchange.origin = .upstream }
        return response
    }

    /// The upstream's error in the documented envelope, with the fields it brought for the client.
    private func response(toError answer: UpstreamResponse, _ exchange: inout Exchange) -> Response {
        let error = UpstreamErrorResponse(
            status: answer.status, contentType: answer.contentType, body: answer.body, isCut: answer.isCut,
            fields: answer.fields)
        let normalized = NormalizedError(
            error, rules: exchange.route?.errors ?? [], showsUpstream: showsErrors, epochSeconds: clock.seconds)
        exchange.upstreamText = normalized.upstreamText
        return normalized.response.rendered(for: exchange, clock, fields: normalized.fields)
    }
}
