/// One row of the error catalogue: the meaning of a code, and what a client should do.
package struct ErrorEntry: Equatable, Sendable {
    package let status: Int
    package let code: String
    /// The message if the failure has none of its own.
    package let message: String
    /// Whether the same request may succeed later.
    package let isRetryable: Bool
    /// What the client should do, for the documentation.
    package let advice: String

    /// `client_error` or `server_error`.
    package var type: String { Self.type(ofStatus: status) }

    /// The `type` in the envelope for a status.
    package static func type(ofStatus status: Int) -> String { status < 500 ? "client_error" : "server_error" }

    init(_ status: Int, _ code: String, _ message: String, retry: Bool = false, _ advice: String) {
        self.status = status
        self.code = code
        self.message = message
        isRetryable = retry
        self.advice = advice
    }
}

/// All error codes of the gateway, and those of the connector API that it knows. The error reference is compared with
/// this table by a test. Other codes of an upstream pass unchanged.
package enum ErrorCode: CaseIterable, Sendable {
    case badRequest, tlsRequired, ambiguousPath, ambiguousCredentials
    case invalidJSON, conflictingFields, invalidIdentifier, idempotencyKeyInvalid, idempotencyKeyRequired
    case retryFailed, invalidConfiguration, confirmationInvalid
    case authenticationRequired, tokenInvalid, tokenExpired, tokenMissingSubject
    case invalidAPIKey, apiKeyExpired, apiKeyDeactivated, apiKeyPaused
    case insufficientPermissions, organizationAccessDenied, ambiguousOrganization, noOrganizationMembership
    case operationNotAllowed, accessDenied
    case notFound, connectionNotFound, jobNotFound
    case methodNotAllowed, requestTimeout
    case clientClosedRequest
    case conflict, confirmationRequired, jobAlreadyRunning, stateLocked
    case idempotencyInProgress, idempotencyOutcomeUnknown, idempotencyResponseNotKept
    case idempotencyKeyReused, idempotencyShareUsed, idempotencyUnavailable
    case payloadTooLarge, targetTooLong, unsupportedMediaType, expectationFailed, misdirectedRequest
    case validationError, locked, rateLimitExceeded, tooManyFailedAuthentications, jobLimit, headTooLarge
    case requestFailed
    case internalError, notImplemented, badGateway, serviceUnavailable, gatewayTimeout, versionNotSupported
    case upstreamError

    package var entry: ErrorEntry {
        switch self {
        case .badRequest:
            ErrorEntry(400, "BAD_REQUEST", "The request is malformed.", "Correct the request; `details` says where.")
        case .tlsRequired:
            ErrorEntry(
                400, "TLS_REQUIRED", "This port speaks TLS only.", "Use https:// and consider the credential exposed.")
        case .ambiguousPath:
            ErrorEntry(
                400, "AMBIGUOUS_PATH", "The path can be read in more than one way.",
                "Send the path without percent-escapes, empty or dot segments.")
        case .ambiguousCredentials:
            ErrorEntry(
                400, "AMBIGUOUS_CREDENTIALS", "Two valid credentials name different callers.",
                "Send `Authorization: Bearer` or `x-api-key`, not both.")
        case .invalidJSON:
            ErrorEntry(400, "INVALID_JSON", "The body is not valid JSON.", "Correct the body at the given offset.")
        case .conflictingFields:
            ErrorEntry(
                400, "CONFLICTING_FIELDS", "Two spellings of one field have different values.",
                "Send the field once, or the same value in both spellings.")
        case .invalidIdentifier:
            ErrorEntry(400, "INVALID_IDENTIFIER", "An identifier is malformed.", "Send the id as the API returned it.")
        case .idempotencyKeyInvalid:
            ErrorEntry(
                400, "IDEMPOTENCY_KEY_INVALID", "The Idempotency-Key is malformed.",
                "Send one key of 1 to 255 visible ASCII characters, such as a UUID.")
        case .idempotencyKeyRequired:
            ErrorEntry(
                400, "IDEMPOTENCY_KEY_REQUIRED", "This request needs an Idempotency-Key.",
                "Send a new key with each request, and the same key when you send it again.")
        case .retryFailed:
            ErrorEntry(
                400, "CONNECTOR_JOB_RETRY_FAILED", "Failed to retry the job.", "Read the job and trigger a new one.")
        case .invalidConfiguration:
            ErrorEntry(
                400, "CONNECTOR_INVALID_CONFIG", "The connector configuration is invalid.", "Correct the configuration."
            )
        case .confirmationInvalid:
            ErrorEntry(
                400, "CONFIRMATION_INVALID", "The confirmation does not count.",
                "Send the request without it, and confirm that with the new one.")

        case .authenticationRequired:
            ErrorEntry(
                401, "AUTHENTICATION_REQUIRED", "Please sign in to continue",
                "Send `Authorization: Bearer` or `x-api-key`.")
        case .tokenInvalid:
            ErrorEntry(
                401, "TOKEN_INVALID", "Your session is invalid", "Check the token for typing errors or get a new one.")
        case .tokenExpired: ErrorEntry(401, "TOKEN_EXPIRED", "Your session has expired", "Get a new token.")
        case .tokenMissingSubject:
            ErrorEntry(401, "TOKEN_MISSING_SUBJECT", "Your session is invalid", "Get a new token.")
        case .invalidAPIKey:
            ErrorEntry(
                401, "INVALID_API_KEY", "Your API key is invalid", "Check the key for typing errors or get a new one.")
        case .apiKeyExpired: ErrorEntry(401, "API_KEY_EXPIRED", "Your API key has expired", "Get a new key.")
        case .apiKeyDeactivated:
            ErrorEntry(401, "API_KEY_DEACTIVATED", "Your API key has been deactivated", "Ask its owner for a new key.")
        case .apiKeyPaused: ErrorEntry(401, "API_KEY_PAUSED", "Your API key is paused", "Ask its owner to resume it.")

        case .insufficientPermissions:
            ErrorEntry(
                403, "INSUFFICIENT_PERMISSIONS", "You don't have permission to perform this action",
                "Use a token with the scopes in `details`.")
        case .organizationAccessDenied:
            ErrorEntry(
                403, "ORGANIZATION_ACCESS_DENIED", "You don't have access to this organization",
                "Use the organization of the token, or a token of the organization.")
        case .ambiguousOrganization:
            ErrorEntry(
                403, "AMBIGUOUS_ORGANIZATION", "The token belongs to several organizations and the request names none",
                "Send `X-Organization-ID`.")
        case .noOrganizationMembership:
            ErrorEntry(
                403, "NO_ORGANIZATION_MEMBERSHIP", "You don't belong to an organization", "Join an organization first.")
        case .operationNotAllowed:
            ErrorEntry(403, "OPERATION_NOT_ALLOWED", "This operation is not allowed", "Do not repeat the request.")
        case .accessDenied: ErrorEntry(403, "ACCESS_DENIED", "Access denied", "Do not repeat the request.")

        case .notFound:
            ErrorEntry(404, "NOT_FOUND", "The requested resource was not found.", "Check the path.")
        case .connectionNotFound:
            ErrorEntry(
                404, "CONNECTOR_CONNECTION_NOT_FOUND", "The requested connection was not found.",
                "Check the connection id and the organization.")
        case .jobNotFound:
            ErrorEntry(
                404, "CONNECTOR_JOB_NOT_FOUND", "The requested job was not found.",
                "Check the job id and the organization.")
        case .methodNotAllowed:
            ErrorEntry(
                405, "METHOD_NOT_ALLOWED", "The method is not allowed for this path.", "Use a method from `Allow`.")
        case .requestTimeout:
            ErrorEntry(
                408, "REQUEST_TIMEOUT", "The request did not arrive in time.", retry: true, "Send the request again.")

        case .conflict:
            ErrorEntry(
                409, "CONFLICT", "The request conflicts with the state of the resource.",
                "Read the resource, then decide.")
        case .confirmationRequired:
            ErrorEntry(
                409, "CONFIRMATION_REQUIRED", "The request would erase data.",
                "If that is what you want, send the same request with the confirmation in `details`.")
        case .jobAlreadyRunning:
            ErrorEntry(
                409, "CONNECTOR_JOB_ALREADY_RUNNING", "A sync is already running for this connection.", retry: true,
                "Follow the job in `Location`, or try again after `Retry-After`.")
        case .stateLocked:
            ErrorEntry(
                409, "CONNECTOR_STATE_LOCKED",
                "State cannot be updated while a sync is running for this connection.", retry: true,
                "Try again after `Retry-After`, or cancel the job in `Location`.")

        case .idempotencyInProgress:
            ErrorEntry(
                409, "IDEMPOTENCY_IN_PROGRESS", "The first request with this Idempotency-Key is in progress.",
                retry: true,
                "Try again after `Retry-After`, with the same key.")
        case .idempotencyOutcomeUnknown:
            ErrorEntry(
                409, "IDEMPOTENCY_OUTCOME_UNKNOWN",
                "The first request with this key may have been executed, and its response was lost.",
                "Read the state. If the work is still to be done, send a new key.")
        case .idempotencyResponseNotKept:
            ErrorEntry(
                409, "IDEMPOTENCY_RESPONSE_NOT_KEPT",
                "The first request with this key was executed, and its response was not kept.",
                "Do not repeat it; `details` has the status of its response.")
        case .idempotencyKeyReused:
            ErrorEntry(
                422, "IDEMPOTENCY_KEY_REUSED", "The Idempotency-Key was used for a different request.",
                "Send a new key with each different request.")
        case .idempotencyShareUsed:
            ErrorEntry(
                429, "IDEMPOTENCY_SHARE_USED",
                "Your organization has too many recent requests with an Idempotency-Key.",
                retry: true, "Try again after `Retry-After`, or send fewer requests with a key.")
        case .idempotencyUnavailable:
            ErrorEntry(
                503, "IDEMPOTENCY_UNAVAILABLE",
                "The Idempotency-Key cannot be recorded now. The request was not executed.",
                retry: true, "Try again after `Retry-After`, with the same key.")
        case .payloadTooLarge:
            ErrorEntry(
                413, "PAYLOAD_TOO_LARGE", "The request body is too large.", "Send at most the limit in `details`.")
        case .targetTooLong:
            ErrorEntry(414, "URI_TOO_LONG", "The request target is too long.", "Shorten the query.")
        case .unsupportedMediaType:
            ErrorEntry(
                415, "UNSUPPORTED_MEDIA_TYPE", "The body's media type is not supported.",
                "Send `Content-Type: application/json`, in UTF-8, without `Content-Encoding`.")
        case .expectationFailed:
            ErrorEntry(417, "EXPECTATION_FAILED", "The expectation cannot be met.", "Send only `Expect: 100-continue`.")
        case .misdirectedRequest:
            ErrorEntry(
                421, "MISDIRECTED_REQUEST", "This server does not serve the requested host.", retry: true,
                "Open a new connection for this host.")
        case .validationError:
            ErrorEntry(
                422, "VALIDATION_ERROR", "A field of the request is invalid.", "Correct the field named in `details`.")
        case .locked: ErrorEntry(423, "LOCKED", "The resource is locked.", retry: true, "Try again later.")
        case .rateLimitExceeded:
            ErrorEntry(
                429, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded.", retry: true, "Try again after `Retry-After`.")
        case .tooManyFailedAuthentications:
            ErrorEntry(
                429, "TOO_MANY_FAILED_AUTHENTICATIONS",
                "Too many requests from this address had an invalid credential.",
                "Correct the credential: a request with a valid one is not refused.")
        case .jobLimit:
            ErrorEntry(
                429, "ORGANIZATION_JOB_LIMIT", "Too many jobs run at the same time.", retry: true,
                "Wait until one of the jobs in `details` has ended, or try again after `Retry-After`.")
        case .headTooLarge:
            ErrorEntry(
                431, "REQUEST_HEADER_FIELDS_TOO_LARGE", "The request head is too large.",
                "Send fewer or shorter headers.")
        case .clientClosedRequest:
            ErrorEntry(
                499, "CLIENT_CLOSED_REQUEST", "The client closed the connection before the response.",
                "None: only the log shows this response.")
        case .requestFailed: ErrorEntry(400, "REQUEST_FAILED", "The request failed.", "Correct the request.")

        case .internalError:
            ErrorEntry(
                500, "INTERNAL_ERROR", "The gateway failed to process the request.", retry: true,
                "Try again; report the trace id if it persists.")
        case .notImplemented:
            ErrorEntry(501, "NOT_IMPLEMENTED", "The method is not implemented.", "Use a method of the API.")
        case .badGateway:
            ErrorEntry(
                502, "BAD_GATEWAY", "The connector service could not be reached or gave no valid response.",
                retry: true,
                "For a write, read the state first: the work may have begun.")
        case .serviceUnavailable:
            ErrorEntry(
                503, "SERVICE_UNAVAILABLE", "The service is temporarily unavailable.", retry: true,
                "Try again after `Retry-After`.")
        case .gatewayTimeout:
            ErrorEntry(
                504, "GATEWAY_TIMEOUT", "The connector service did not respond in time.", retry: true,
                "For a write, read the state first: the work may have begun.")
        case .versionNotSupported:
            ErrorEntry(505, "HTTP_VERSION_NOT_SUPPORTED", "The HTTP version is not supported.", "Use HTTP/1.1.")
        case .upstreamError:
            ErrorEntry(500, "UPSTREAM_ERROR", "The connector service failed.", retry: true, "Try again later.")
        }
    }

    /// The code for an upstream's error without a code of its own.
    package static func generic(forStatus status: Int) -> ErrorCode {
        switch status {
        case 400: .badRequest
        case 401: .authenticationRequired
        case 403: .accessDenied
        case 404: .notFound
        case 405: .methodNotAllowed
        case 408: .requestTimeout
        case 409: .conflict
        case 413: .payloadTooLarge
        case 414: .targetTooLong
        case 415: .unsupportedMediaType
        case 417: .expectationFailed
        case 421: .misdirectedRequest
        case 422: .validationError
        case 423: .locked
        case 429: .rateLimitExceeded
        case 431: .headTooLarge
        case 501: .notImplemented
        case 502: .badGateway
        case 503: .serviceUnavailable
        case 504: .gatewayTimeout
        case 505: .versionNotSupported
        default: status < 500 ? .requestFailed : .upstreamError
        }
    }
}
