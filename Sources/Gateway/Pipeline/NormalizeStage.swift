internal import HTTP
internal import Policy
internal import Transport

// The upstream's answer becomes the client's: success bytes untouched, every error the documented envelope. Here it is
// known whether work began, so here the lease is settled and limits are given back.
extension Worker {
    func normalize(
        _ answer: UpstreamResponse, settling lease: consuming Lease?, _ exchange: inout Exchange
    ) -> Response {
        exchange.startedJob = answer.startedJob?.job.id
        lease?.settle(
            status: answer.status, started: answer.startedJob?.job,
            isTurnedAway: answer.fields.contains { $0.name.spells("retry-after") }, now: milliseconds())
        // A refusal by the upstream means that no work began. After a 5xx nobody knows.
        if (400...499).contains(answer.status) || answer.status == 503 { refundWork(&exchange) }
        guard answer.status >= 400 else {
            return Response(
                status: answer.status, contentType: answer.contentType, fields: answer.fields, body: answer.body)
        }
        let response = self.answer(toUpstreamError: answer, &exchange)
        // Also where a rule finds that an error blamed the client for what was wrong behind the gateway.
        if answer.status >= 500 || response.status >= 500 { exchange.origin = .upstream }
        return response
    }
}
