internal import HTTP
internal import Policy
internal import Transport

/// Where a worker sends the requests that are granted, and the one place that tells the two kinds of upstream apart.
enum Upstream {
    /// To the connector service of this process.
    case local(LocalForward)
    /// To one behind HTTP.
    case remote(RemoteForward)
    /// Nowhere: a remote upstream is not known yet, or the worker's loop is about to end.
    case unavailable

    /// To the upstream and back: what it answers is normalized.
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

    /// The way to a remote upstream.
    var client: UpstreamClient? {
        if case .remote(let remote) = self { remote.client } else { nil }
    }
}

extension Upstream: JobConnectionLookup {
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
        // Whether there is such a job is not known: the client must not hear that there is none.
        case .unavailable: throw .noEndpoint
        }
    }
}
