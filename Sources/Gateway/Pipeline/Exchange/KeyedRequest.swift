internal import Transport

/// A request with an idempotency key, as far as it has come. An object, so that the exchange of any other request has one empty
/// reference more.
///
/// `@unchecked Sendable`: it stays on its request's worker.
final class KeyedRequest: @unchecked Sendable {
    let id: IdempotencyRecordID
    /// What the request asks of the records; `nil` until its body has been read.
    var claim: IdempotencyClaim?
    /// The record, while the request is the first one with its key and has no final response.
    var record: OpenRecord?
    /// What the key did; `nil` if the request ended before that was known.
    var use: IdempotencyUse?
    /// The status of the upstream's response, before error rules.
    var upstreamStatus: Int?
    /// The upstream's response says that it is not at work on the request.
    var isTurnedAway = false
    /// The response that was relayed to the client. `nil` if it was not relayed, or not all of it.
    var relayed: StoredResponse?

    init(id: IdempotencyRecordID) { self.id = id }
}
