package import HTTP
package import Policy

/// The reason why a request gets no response from the upstream, other than a policy's refusal.
package struct Failure: Error, Equatable, Sendable {
    /// The side that is at fault. An upstream's failure is never blamed on the client.
    package enum Origin: String, CaseIterable, Sendable { case client, gateway, upstream }

    package let stage: Stage
    package let kind: Kind
    /// Seconds until another try makes sense; `nil` if unknown.
    package let retryAfterSeconds: Int?

    package init(_ kind: Kind, at stage: Stage, retryAfterSeconds: Int? = nil) {
        self.kind = kind
        self.stage = stage
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// The kind of failure.
    package enum Kind: Equatable, Sendable {
        case plainHTTP
        case head(HeadError)
        case framing(FramingError)
        case headTimeout
        case bodyTimeout
        /// The client closed in the middle of the body.
        case bodyIncomplete
        /// The client closed the connection before the response; only the log shows this failure.
        case clientGone
        case bodyTooLarge(limit: Int)
        case unsupportedMediaType
        case invalidJSON(reason: String, offset: Int)
        /// A required field is missing or invalid.
        indirect case invalidField(name: String, reason: String)
        /// Two spellings of a field have different values.
        case conflictingFields([String])
        case invalidIdentifier(name: String)
        /// The organization has no job with that id.
        case noSuchJob

        /// The request waited, and its token has expired since it came, or a reload has taken the token or its rights.
        indirect case noLongerGranted(Refusal, CredentialField)
        indirect case rateLimited(LimitRefusal)
        /// Too many requests of this address had an invalid credential, as this one has.
        indirect case authenticationsLimited(LimitRefusal)
        /// The policy demands a second step, and this was the first.
        indirect case confirmationRequired(ConfirmationOffer)
        case confirmationInvalid(ConfirmationError)
        /// The organization, or the token, runs as many jobs as it may.
        indirect case tooManyJobs(JobCapRefusal)
        /// Another operation has the lease of the connection.
        indirect case jobRunning(LeaseConflict, connection: String)
        /// A job has the lease of the connection whose state was to be changed.
        indirect case stateLocked(LeaseConflict, connection: String)

        /// The `Idempotency-Key` is not one; `rule` says why.
        case invalidIdempotencyKey(rule: String)
        /// The route needs an `Idempotency-Key`.
        case missingIdempotencyKey
        case idempotency(IdempotencyProblem)

        case upstream(UpstreamFailure)

        case storeUnavailable
        case overloaded
        case internalError
    }

    package var origin: Origin {
        switch kind {
        case .plainHTTP, .head, .framing, .headTimeout, .bodyTimeout, .bodyIncomplete, .clientGone, .bodyTooLarge,
            .unsupportedMediaType, .invalidJSON, .invalidField, .conflictingFields, .invalidIdentifier,
            .noSuchJob, .noLongerGranted, .rateLimited, .tooManyJobs, .authenticationsLimited, .confirmationRequired,
            .confirmationInvalid, .jobRunning, .stateLocked, .invalidIdempotencyKey, .missingIdempotencyKey:
            .client
        case .idempotency(.storeUnavailable): .gateway
        case .idempotency: .client
        case .upstream: .upstream
        case .storeUnavailable, .overloaded, .internalError: .gateway
        }
    }

    /// Whether the upstream may have begun the work: it received at least a part of the request, and the outcome is
    /// unknown.
    package var mayHaveBegunWork: Bool {
        switch kind {
        case .upstream(let failure): failure.mayHaveBegunWork
        default: false
        }
    }
}

extension Failure {
    /// The upstream gave no response.
    init(_ failure: UpstreamFailure) { self.init(.upstream(failure), at: .forward) }
}

/// The reason for an error response that the gateway makes itself.
package enum Rejection: Sendable {
    case failure(Failure)
    case refusal(Refusal, credential: CredentialField)
}

/// The field that carried the credential. The code of the response depends on it.
package enum CredentialField: Equatable, Sendable { case bearer, apiKey }
