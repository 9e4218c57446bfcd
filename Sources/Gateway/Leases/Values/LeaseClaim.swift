package import Policy

/// The lease that a request asks for.
package struct LeaseClaim: Sendable {
    package let key: LeaseKey
    package let kind: LeaseKind
    /// The API family of the operation; its paths are used to poll for the job.
    package let family: RouteFamily
    package let origin: LeaseOrigin
    package let matrix: ConcurrencyMatrix
    package let traceID: TraceID?
    package let owner: LeaseOwner?
    /// How long after the start of a lease the same request of the same caller counts as sent again; `nil`: never.
    package let resendWindow: Duration?
    /// What the claimant wants if another operation has the connection.
    package var onConflict: ConflictRule.Response
    /// The caps of the organization's running jobs.
    package var caps: [JobCap]

    package init(
        key: LeaseKey, kind: LeaseKind, family: RouteFamily = .other, origin: LeaseOrigin = LeaseOrigin(),
        matrix: ConcurrencyMatrix, traceID: TraceID? = nil, owner: LeaseOwner? = nil, resendWindow: Duration? = nil,
        onConflict: ConflictRule.Response = .fail, caps: [JobCap] = []
    ) {
        self.key = key
        self.kind = kind
        self.family = family
        self.origin = origin
        self.matrix = matrix
        self.traceID = traceID
        self.owner = owner
        self.resendWindow = resendWindow
        self.onConflict = onConflict
        self.caps = caps
    }
}
