import Bytes
import Connectors
import Gateway
import HTTP
import Policy

/// The connector service of this process as the upstream of the gateway: without a socket, and without a copy of the
/// response.
struct ConnectorUpstream: InProcessUpstream {
    let service: ConnectorService

    func respondsFromMemory(_ captures: RouteCaptures) -> Bool {
        captures.servicePath.map(ConnectorService.respondsFromMemory(path:)) ?? false
    }

    func respondFromMemory(to request: consuming UpstreamRequest) -> UpstreamResponse? {
        guard let response = service.respond(to: ConnectorRequest(request)) else { return nil }
        return UpstreamResponse(response)
    }

    func respond(to request: consuming UpstreamRequest) async throws(UpstreamFailure) -> UpstreamResponse {
        UpstreamResponse(await service.perform(ConnectorRequest(request)))
    }

    func connection(ofJob job: String, organization: String) async throws(UpstreamFailure) -> String? {
        service.connection(ofJob: job, organization: organization)
    }

    func runningJobs() async throws(UpstreamFailure) -> [RunningJob] {
        service.runningJobs().map(RunningJob.init)
    }

    func observeJobs(_ observer: @escaping @Sendable (RunningJob) -> Void) {
        service.onJobEvent { event in observer(RunningJob(event.job)) }
    }
}

extension ConnectorRequest {
    fileprivate init(_ request: consuming UpstreamRequest) {
        // The target begins with the path, so an offset in the path is the same offset in the target.
        let captures = request.captures
        let route = captures.servicePath.map {
            ConnectorRoute(
                path: $0, organization: captures.organization, connection: captures.connection, job: captures.job)
        }
        self.init(
            method: request.method.name, target: request.target.take(), route: route,
            organization: request.organization, body: request.body.take(), bodyValue: request.bodyValue.take(),
            // The gateway writes the trace id into the envelope of each error.
            traceID: "")
    }
}

extension UpstreamResponse {
    fileprivate init(_ response: consuming ConnectorResponse) {
        self.init(
            status: response.status,
            fields: response.headers.isEmpty ? [] : response.headers.map { (name: $0.0, value: $0.1) },
            body: response.body.take(),
            startedJob: response.startedJob.map(RunningJob.init))
    }
}

extension RunningJob {
    fileprivate init(_ job: JobReference) {
        self.init(
            key: LeaseKey(organization: job.organization, connection: job.connection),
            job: LeaseJob(
                id: job.id, type: job.type, status: job.status, startedAt: job.startedAt, location: job.path))
    }
}
