internal import HTTP
internal import Policy
internal import Transport

// The upstream's answer becomes the client's: success bytes untouched, every error the documented envelope. Here it is
// known whether work began, so here the lease is settled and limits are given back.
extension Worker {
    func normalize(
        _ answer: UpstreamResponse, settling lease: consuming Lease?, _ exchange: inout Exchange
    ) -> Response {
        settle(lease, answer, exchange)
        // A refusal by the upstream means that no work began. After a 5xx nobody knows.
        if (400...499).contains(answer.status) || answer.status == 503 { refundWork(&exchange) }
        guard answer.status >= 400 else {
            return Response(
                status: answer.status, contentType: answer.contentType, fields: answer.fields, body: answer.body)
        }
        return self.answer(toUpstreamError: answer, exchange)
    }

    private func settle(_ lease: consuming Lease?, _ answer: UpstreamResponse, _ exchange: borrowing Exchange) {
        guard let lease else { return }
        switch answer.status {
        case 200...299:
            // Without the job's id the lease stays uncertain until the upstream was asked what runs.
            if let job = answer.startedJob {
                lease.bind(job.job, now: milliseconds())
            } else if exchange.route?.lease?.holds == .job {
                lease.leaveUncertain()
            } else {
                lease.release()
            }
        case 500...599: lease.leaveUncertain()
        default: lease.release()
        }
    }
}
