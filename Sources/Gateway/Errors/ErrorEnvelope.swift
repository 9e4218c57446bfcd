internal import Bytes
internal import HTTP

/// The documented error body.
package enum ErrorEnvelope {
    /// Appends the body of an error response. It is never empty, because clients take an empty error for success.
    ///
    /// `addsDetail` adds the top-level `detail` string that clients of the Airweave family need.
    package static func append(
        _ response: ErrorResponse, traceID: TraceID, epochMilliseconds: Int64, addsDetail: Bool,
        to buffer: inout [UInt8]
    ) {
        buffer.append(text: "{\"success\":false,\"error\":{\"code\":")
        buffer.append(jsonString: response.code)
        buffer.append(text: ",\"message\":")
        buffer.append(jsonString: response.message)
        if let text = response.systemMessage {
            buffer.append(text: ",\"system_message\":")
            buffer.append(jsonString: text)
        }
        buffer.append(text: ",\"type\":")
        buffer.append(jsonString: ErrorEntry.type(ofStatus: response.status))
        buffer.append(text: ",\"status\":")
        buffer.append(decimal: response.status)
        buffer.append(text: ",\"details\":")
        ErrorDetail.append(response.details, to: &buffer)
        buffer.append(text: ",\"trace_id\":\"")
        traceID.append(to: &buffer)
        buffer.append(text: "\",\"timestamp\":\"")
        buffer.append(timestamp: epochMilliseconds)
        buffer.append(text: "\"}")
        if addsDetail {
            buffer.append(text: ",\"detail\":")
            buffer.append(jsonString: response.message)
        }
        buffer.append(UInt8(ascii: "}"))
    }
}
