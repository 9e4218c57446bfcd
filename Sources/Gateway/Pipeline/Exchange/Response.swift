/// A response to the client, without the fields that every response has.
struct Response {
    /// Whether the response has already been written to the client's stream.
    enum Outcome {
        /// Not yet: it is the gateway's own, and the last step of the pipeline writes it.
        case own
        /// Written by the forward stage while it came from the upstream. It must not be written again.
        case relayed
    }

    var status: Int
    var contentType = "application/json"
    var fields: [(name: String, value: String)] = []
    var body: [UInt8] = []
    /// The envelope's code; `nil` if the response is not an error.
    var errorCode: String?
    /// The `Retry-After` of an error response.
    var retryAfterSeconds: Int?
    /// The connection must not carry another request.
    var closesConnection = false
    var outcome = Outcome.own
}
