/// What the client gets, besides the fields that every response has.
struct Response {
    /// Who has written it to the client's stream.
    enum Outcome {
        /// Nobody yet: it is the gateway's own, and the last step of the pipeline writes it.
        case own
        /// The forward stage: head and body went to the stream as they came from the upstream, and must not be written again.
        case relayed
    }

    var status: Int
    var contentType = "application/json"
    var fields: [(name: String, value: String)] = []
    var body: [UInt8] = []
    /// The envelope's code; `nil` where the response is no error.
    var errorCode: String?
    /// The connection must not carry another request.
    var closesConnection = false
    var outcome = Outcome.own
}
