internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

/// Turns the upstream's response into the client's: the bytes of a success stay unchanged, and every error gets the
/// documented envelope. For each response that passes it, this stage concludes the lease, and refunds limits if no work began.
struct NormalizeStage {
    let limits: LimitStage
    /// Whether clients may see the upstream's own text of an error.
    let showsOriginalError: Bool
    /// The gateway's credentials for the upstream that responds: no log line shows them.
    let secrets: [String]
    let clock: WallClock

    func normalize(
        _ upstreamResponse: consuming UpstreamResponse, concluding lease: consuming Lease?, _ exchange: inout Exchange,
        now: Instant
    ) -> Response {
        exchange.startedJob = upstreamResponse.startedJob?.job.id
        let isTurnedAway =
            upstreamResponse.status == 503
            && upstreamResponse.fields.contains { $0.name.spells("retry-after") }
        exchange.keyed?.upstreamStatus = upstreamResponse.status
        exchange.keyed?.isTurnedAway = isTurnedAway
        lease?.conclude(
            status: upstreamResponse.status, started: upstreamResponse.startedJob?.job,
            isTurnedAway: isTurnedAway, now: clock.moment)
        // After a refusal by the upstream no work began. After a time-out, and after every other 5xx, that is unknown.
        let isRefused =
            (400...499).contains(upstreamResponse.status) && !HTTPStatus.leavesWorkOpen(upstreamResponse.status)
        if isRefused || isTurnedAway { limits.refundWork(&exchange, now: now) }
        guard upstreamResponse.status >= 400 else {
            return Response(
                status: upstreamResponse.status, contentType: upstreamResponse.contentType,
                fields: upstreamResponse.fields.take(), body: upstreamResponse.body.take())
        }
        let response = response(toError: upstreamResponse, &exchange)
        exchange.endingStage = .normalize
        // Also if a rule changes a 4xx to a 5xx, because the error wrongly blamed the client.
        if upstreamResponse.status >= 500 || response.status >= 500 { exchange.origin = .upstream }
        return response
    }

    /// The upstream's error in the documented envelope, with the fields that are kept.
    private func response(
        toError upstreamResponse: borrowing UpstreamResponse, _ exchange: inout Exchange
    ) -> Response {
        let error = UpstreamErrorResponse(
            status: upstreamResponse.status, contentType: upstreamResponse.contentType, body: upstreamResponse.body,
            isTruncated: upstreamResponse.isTruncated,
            fields: upstreamResponse.fields)
        let normalized = NormalizedError(
            error, rules: exchange.route?.errors ?? [], showsOriginalError: showsOriginalError,
            epochSeconds: clock.seconds)
        exchange.upstreamText = normalized.upstreamText?.masking(secrets)
        return normalized.response.rendered(for: exchange, clock, fields: normalized.fields)
    }
}
