/// What the client gets, besides the fields that every response has.
struct Response {
    var status: Int
    var contentType = "application/json"
    var fields: [(name: String, value: String)] = []
    var body: [UInt8] = []
    /// The envelope's code; `nil` where the response is no error.
    var errorCode: String?
    /// The connection must not carry another request.
    var closesConnection = false
    /// Head and body were written to the stream as they came from the upstream; they must not be written again.
    var isRelayed = false
}
