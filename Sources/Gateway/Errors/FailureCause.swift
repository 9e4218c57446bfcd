internal import HTTP

extension Failure {
    /// The cause of the failure, for the log; `nil` if code and limit are enough. It contains nothing that the client sent.
    var cause: String? {
        switch kind {
        case .plainHTTP: "plain HTTP on the TLS port"
        case .head(let error): error.reason
        case .framing(let error): error.reason
        case .headTimeout: "the head did not come in time"
        case .bodyTimeout: "the body did not come in time"
        case .bodyIncomplete: "the body ended early"
        case .clientGone: "the client closed the connection before the response"
        case .bodyTooLarge(let limit): "the body is longer than \(limit) bytes"
        case .invalidJSON(let reason, let offset): "\(reason), at byte \(offset)"
        case .invalidField(let name, let reason): "\(name): \(reason)"
        case .conflictingFields(let names): "\(names.joined(separator: ", ")): different values"
        case .invalidIdentifier(let name): "\(name) is not an identifier"
        case .noSuchJob: "the upstream has no such job in this organization"
        case .noLongerGranted: "the token expired, or lost its rights by a reload, while the request waited"
        case .upstream(let failure): failure.explanation
        case .storeUnavailable: "the lease journal cannot be written"
        case .overloaded: "no memory is left for the body (sizes.bodyMemory)"
        case .internalError: "a bug in the gateway"
        case .invalidIdempotencyKey(let rule): "Idempotency-Key: \(rule)"
        case .idempotency(.storeUnavailable): "the idempotency journal cannot be written"
        case .idempotency(.shareUsed): "the organization's share of gateway.idempotency.memory is used up"
        case .confirmationInvalid(let error): "the confirmation does not count: \(error.explanation)"
        case .missingIdempotencyKey, .idempotency, .unsupportedMediaType, .rateLimited, .tooManyJobs,
            .authenticationsLimited, .confirmationRequired, .jobRunning, .stateLocked:
            nil
        }
    }
}
