import JSON

@testable import Gateway
@testable import Policy

/// What the client reads for an upstream's error.
struct ReadEnvelope {
    let answer: NormalizedError
    let json: JSONValue
    let details: String

    init(_ error: UpstreamErrorResponse, rules: [ErrorRule] = [], showsOriginalError: Bool = false) throws {
        answer = NormalizedError(
            error, rules: rules, showsOriginalError: showsOriginalError, epochSeconds: 1_700_000_000)
        var bytes: [UInt8] = []
        ErrorEnvelope.append(
            answer.response, traceID: TraceID(high: 1, low: 2), epochMilliseconds: 0, addsDetail: true, to: &bytes)
        json = try JSONValue.read(bytes.span)
        var writer = JSONWriter()
        if let details = json["error"]?["details"] { writer.value(details) }
        details = String(decoding: writer.bytes, as: UTF8.self)
    }

    init(
        _ status: Int, _ body: String, type: String = "application/json", rules: [ErrorRule] = [],
        showsOriginalError: Bool = false
    ) throws {
        try self.init(
            UpstreamErrorResponse(status: status, contentType: type, body: Array(body.utf8)), rules: rules,
            showsOriginalError: showsOriginalError)
    }

    var status: Int? { json["error"]?["status"]?.integer.map { Int($0) } }
    var code: String? { json["error"]?["code"]?.string }
    var message: String? { json["error"]?["message"]?.string }
}
