package import HTTP
package import Policy

/// Something that kept a request from its answer and is not a policy's refusal.
package struct Failure: Error, Equatable, Sendable {
    /// Who is to blame. A dependency's failure is never blamed on the client.
    package enum Origin: String, CaseIterable, Sendable { case client, gateway, upstream }

    package let stage: Stage
    package let kind: Kind
    /// Whole seconds after which it makes sense to come back, where that is known.
    package let retryAfterSeconds: Int?

    package init(_ kind: Kind, at stage: Stage, retryAfterSeconds: Int? = nil) {
        self.kind = kind
        self.stage = stage
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// What happened.
    package enum Kind: Equatable, Sendable {
        case plainHTTP
        case head(HeadError)
        case framing(FramingError)
        case headTimeout
        case bodyTimeout
        /// The client closed in the middle of the body.
        case bodyIncomplete
        /// The client closed before the answer came; nobody reads this one.
        case clientGone
        case bodyTooLarge(limit: Int)
        case unsupportedMediaType
        case invalidJSON(reason: String, offset: Int)
        /// A field that a rule needs is absent, or not what it must be.
        indirect case invalidField(name: String, reason: String)
        /// Two spellings of a field disagree.
        case conflictingFields([String])
        case invalidIdentifier(name: String)
        /// The organization has no job of that id.
        case noSuchJob

        case rateLimited(limit: String, retryAfterSeconds: Int)
        /// Another operation holds the connection.
        indirect case jobRunning(LeaseConflict, connection: String)
        /// A job holds the connection whose state was to be changed.
        indirect case stateLocked(LeaseConflict, connection: String)

        case upstream(UpstreamFailure)

        case storeUnavailable
        case overloaded
        case internalError
    }

    package var origin: Origin {
        switch kind {
        case .plainHTTP, .head, .framing, .headTimeout, .bodyTimeout, .bodyIncomplete, .clientGone, .bodyTooLarge,
            .unsupportedMediaType, .invalidJSON, .invalidField, .conflictingFields, .invalidIdentifier,
            .noSuchJob, .rateLimited, .jobRunning, .stateLocked:
            .client
        case .upstream: .upstream
        case .storeUnavailable, .overloaded, .internalError: .gateway
        }
    }

    /// Whether the upstream may have begun the work all the same: it was reached, and what it did is unknown.
    package var mayHaveBegunWork: Bool {
        switch kind {
        case .upstream(let failure): failure.mayHaveBegunWork
        default: false
        }
    }
}

/// Everything that ends a request with an error of the gateway's own.
package enum Rejection: Sendable {
    case failure(Failure)
    case refusal(Refusal, credential: CredentialField)
}

/// The header that carried the credential: its words are in the answer.
package enum CredentialField: Equatable, Sendable { case bearer, apiKey }
