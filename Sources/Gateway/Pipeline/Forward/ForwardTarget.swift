internal import HTTP
internal import Policy
internal import Transport

/// Where a worker forwards granted requests. Only this type distinguishes the kinds of upstream.
enum ForwardTarget {
    /// The connector service of this process.
    case local(LocalForward)
    /// A connector service behind HTTP.
    case remote(RemoteForward)
    /// None: a remote upstream is not known yet, or the worker's loop is about to end.
    case unavailable

    /// Forwards the request and returns the normalized response.
    func forward(
        _ body: ForwardedBody, for grant: Grant, _ lease: consuming Lease?, _ identity: inout IdentityFields,
        _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Response {
        switch self {
        case .remote(let remote):
            return try await remote.forward(body, for: grant, lease, &identity, &stream, &exchange)
        case .local(let local): return try await local.forward(body, for: grant, lease, &stream, &exchange)
        case .unavailable: throw Failure(.upstream(.noEndpoint), at: .forward)
        }
    }

    /// The client of a remote upstream; otherwise `nil`.
    var client: UpstreamClient? {
        if case .remote(let remote) = self { remote.client } else { nil }
    }
}

extension ForwardTarget: JobConnectionLookup {
    var takesBodyPieces: Bool {
        if case .remote = self { true } else { false }
    }

    var readsBodyValue: Bool {
        if case .local = self { true } else { false }
    }

    func connection(
        ofJob job: String, organization: String, family: RouteFamily, near start: String
    ) async throws(UpstreamFailure) -> String? {
        switch self {
        case .local(let local): return try await local.upstream.connection(ofJob: job, organization: organization)
        case .remote(let remote):
            guard let jobs = remote.jobs else { throw .internalFailure }
            return try await jobs.connection(ofJob: job, organization: organization, family: family, near: start)
        // The job may exist, so the client must not get a 404.
        case .unavailable: throw .noEndpoint
        }
    }
}

extension ForwardTarget: LeaseOrigins {
    /// The jobs of this process need no poll, so that nothing is stored about a request to them.
    func leaseOrigin(of request: borrowing Request, for grant: Grant) -> LeaseOrigin {
        guard let client else { return LeaseOrigin() }
        return LeaseOrigin(
            pathStart: request.pathStart(for: grant), responseTimeout: client.responseTimeout(for: grant.route),
            mayRestart: grant.captures.job != nil)
    }
}
