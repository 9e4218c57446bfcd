internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

/// Tells the lease of a job that the upstream accepted the job's cancellation.
struct CancelStage {
    let leases: LeaseTable
    /// The connector service of this process, which knows the connections of its jobs.
    let local: (any InProcessUpstream)?

    /// The upstream accepted the cancellation of a job. The job's lease drains until the job has ended.
    func recordCancellation(_ grant: Grant, _ request: borrowing Request, _ response: borrowing Response) async {
        guard let job = grant.captures.job, response.status < 300, !request.head.method.isSafe,
            grant.route.lease == nil, let organization = grant.organization
        else { return }
        let path = request.bytes(request.head.path)
        // Leases have the canonical spelling of job ids; the client may use another one.
        let id = ConnectionID.canonical(path.span.extracting(job)) ?? path.span.text(job)
        // The table knows all leases of a remote upstream's jobs, so the upstream is not polled.
        let name =
            if let local {
                try? await local.connection(ofJob: id, organization: organization.id)
            } else { leases.connection(ofJob: id, organization: organization.id) }
        guard let name else { return }
        leases.cancelAccepted(LeaseKey(organization: organization.id, connection: name), jobID: id)
    }
}
