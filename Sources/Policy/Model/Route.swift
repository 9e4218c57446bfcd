/// Method and path pattern with their rules: one operation of the API.
package final class Route: Sendable, Equatable {
    /// The operation, such as `jobs.trigger`.
    package let id: String
    /// Derived from `id` only, so that counters survive a reload.
    package let key: UInt64
    /// The position among the routes of the set.
    package let index: Int
    package let family: RouteFamily
    /// Whether the route is open to everyone.
    package let isPublic: Bool
    /// A token needs all of them.
    package let scopes: ScopeSet
    /// The required scopes, separated by spaces, as in `WWW-Authenticate`.
    package let scopeText: String
    private let scopeNames: [(name: String, scope: ScopeSet)]
    /// The class that limits refer to.
    package let limitClass: String?
    /// The lease that a request takes before it is forwarded; `nil`: none.
    package let lease: LeaseKind?
    /// How long the same request of the same caller gets its own job, instead of a conflict; `nil`: never.
    package let resendWindow: Duration?
    /// What a request gets if another operation has its connection.
    package let onConflict: ConflictRule
    /// What becomes of an `Idempotency-Key`; safe methods never look at one.
    package let idempotency: Idempotency
    package let connection: ConnectionSource
    /// Which requests need a second step; `nil`: none.
    package let confirmation: Confirmation?
    /// The route's own maximum, or that of `gateway.sizes`.
    package let maxBodyBytes: Int
    /// The status with which the gateway responds itself, without the upstream.
    package let respondStatus: Int?
    /// The content of successful responses of the upstream to a GET; `nil`: no job status.
    package let jobStatus: JobStatusBody?
    package let timeouts: UpstreamTimeouts
    /// The rules for upstream errors.
    package let errors: [ErrorRule]
    /// The team to ask, as the policy names it.
    package let owner: String?
    /// `file:line` of the definition.
    package let source: String

    /// The status of one job, or of several. The gateway learns from it which jobs have ended.
    package enum JobStatusBody: String, CaseIterable, Sendable { case job, jobs }

    /// Whether a request must, or may, have an `Idempotency-Key`, or whether the gateway does not look at one.
    package enum Idempotency: String, CaseIterable, Sendable { case required, allow, ignore }

    /// Timeouts that replace `upstream.timeouts` for a route; `nil` keeps the upstream's.
    package struct UpstreamTimeouts: Equatable, Sendable {
        package var connect: Duration?
        package var responseHead: Duration?
        package var bodyProgress: Duration?
        package var total: Duration?

        package init(
            connect: Duration? = nil, responseHead: Duration? = nil, bodyProgress: Duration? = nil,
            total: Duration? = nil
        ) {
            self.connect = connect
            self.responseHead = responseHead
            self.bodyProgress = bodyProgress
            self.total = total
        }
    }

    init(
        id: String, index: Int, family: RouteFamily, isPublic: Bool = false, scopes: ScopeSet = [],
        scopeText: String = "", scopeNames: [(name: String, scope: ScopeSet)] = [],
        limitClass: String? = nil, lease: LeaseKind? = nil, resendWindow: Duration? = nil,
        onConflict: ConflictRule = ConflictRule(), idempotency: Idempotency = .ignore,
        connection: ConnectionSource = .none, confirmation: Confirmation? = nil, maxBodyBytes: Int = 0,
        respondStatus: Int? = nil, jobStatus: JobStatusBody? = nil, timeouts: UpstreamTimeouts = UpstreamTimeouts(),
        errors: [ErrorRule] = [], owner: String? = nil, source: String = ""
    ) {
        self.id = id
        key = processKey(of: id)
        self.index = index
        self.family = family
        self.isPublic = isPublic
        self.scopes = scopes
        self.scopeText = scopeText
        self.scopeNames = scopeNames
        self.limitClass = limitClass
        self.lease = lease
        self.resendWindow = resendWindow
        self.onConflict = onConflict
        self.idempotency = idempotency
        self.connection = connection
        self.confirmation = confirmation
        self.maxBodyBytes = maxBodyBytes
        self.respondStatus = respondStatus
        self.jobStatus = jobStatus
        self.timeouts = timeouts
        self.errors = errors
        self.owner = owner
        self.source = source
    }

    package static func == (one: Route, other: Route) -> Bool { one === other }

    /// Whether the job of another request can be the response.
    package var mayShareJob: Bool {
        resendWindow != nil || onConflict.response == .attach || onConflict.response == .skip
    }

    /// The required scopes that are not in `held`, separated by spaces, in the order of the policy.
    package func scopesMissing(in held: ScopeSet) -> String {
        scopeNames.filter { !held.isSuperset(of: $0.scope) }.map(\.name).joined(separator: " ")
    }
}

/// The API that a route belongs to; it decides the shape of errors.
package enum RouteFamily: String, CaseIterable, Sendable {
    case aitronos
    /// Errors carry a top-level `detail` too.
    case airweave
    case other
}

/// Where a request names the connection it is about.
package enum ConnectionSource: Equatable, Sendable {
    case none
    /// In the path: ``RouteCaptures/connection``.
    case path
    /// In the JSON body, under any of these names; if there are several, they must agree.
    case body([String])
    /// Through the job named in the path: ``RouteCaptures/job``.
    case job
}

/// The variable parts of a path, as offsets into it, and the service path that it matches.
package struct RouteCaptures: Equatable, Sendable {
    /// The id of the organization. Each range here is `nil` if the pattern has no such variable.
    package var organization: Range<Int>?
    package var connection: Range<Int>?
    package var job: Range<Int>?
    /// The position of the matched pattern in the `servicePaths` that the set was loaded with; `nil` if it is none of
    /// them.
    package var servicePath: Int?

    package init(
        organization: Range<Int>? = nil, connection: Range<Int>? = nil, job: Range<Int>? = nil, servicePath: Int? = nil
    ) {
        self.organization = organization
        self.connection = connection
        self.job = job
        self.servicePath = servicePath
    }

    /// The offset of the first variable part; `nil` if there is none.
    package var start: Int? {
        var first: Int?
        for range in [organization, connection, job] {
            if let range, range.lowerBound < first ?? .max { first = range.lowerBound }
        }
        return first
    }
}
