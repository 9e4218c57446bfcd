import JSON

@testable import Gateway

/// Called by libFuzzer with each input: from any error of an upstream the client gets the documented envelope, in valid
/// JSON, with an error status. The text of a 5xx response reaches the client only if policy shows it.
@c(LLVMFuzzerTestOneInput)
func fuzzError(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let body = Array(UnsafeBufferPointer(start: start, count: count))
    for status in [400, 401, 404, 422, 429, 500, 503] {
        for isShown in [false, true] {
            let error = UpstreamErrorResponse(status: status, contentType: "application/json", body: body)
            check(NormalizedError(error, rules: [], showsOriginalError: isShown, epochSeconds: 0), status, isShown)
        }
    }
    return 0
}

private func check(_ error: NormalizedError, _ status: Int, _ isShown: Bool) {
    let response = error.response
    precondition(response.status == status && !response.code.isEmpty && !response.message.isEmpty)
    precondition(response.message.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }, "a message of several lines")
    if status == 429 || status == 503 { precondition((1...86_400).contains(response.retryAfterSeconds ?? 0)) }
    if status >= 500, !isShown {
        precondition(response.details.isEmpty && response.systemMessage == nil, "a failure told its details")
        precondition(response.message == ErrorResponse(ErrorCode.generic(forStatus: status)).message)
    }
    for addsDetail in [false, true] {
        var envelope: [UInt8] = []
        ErrorEnvelope.append(
            response, traceID: TraceID(high: 1, low: 2), epochMilliseconds: 0, addsDetail: addsDetail, to: &envelope)
        guard let read = try? JSONValue.read(envelope.span)["error"] else {
            preconditionFailure("the envelope is no JSON: \(String(decoding: envelope, as: UTF8.self))")
        }
        precondition(read["message"]?.string == response.message && read["status"]?.integer == Int64(status))
    }
}
