internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

/// The head of a request to the upstream in HTTP/1.1.
enum ForwardedHead {
    /// Appends the head of a forwarded request. Target and end-to-end fields stay byte for byte. Fields of the client's
    /// connection, and fields that only the gateway may write, are dropped. Then the gateway's own fields follow (RFC
    /// 9110, section 7.6).
    static func append(
        _ request: borrowing Request, _ exchange: borrowing Exchange, _ identity: borrowing IdentityFields,
        to endpoint: Endpoint, _ client: UpstreamClient, _ framing: ForwardedFraming, _ output: inout [UInt8]
    ) {
        let head = request.head
        let bytes = request.headBytes
        let isTrusted = exchange.policies.trusts(request.peer)

        output += endpoint.lineStarts[Int(head.method.rawValue)]
        output.append(bytes, head.originForm)
        if client.passesHost, let host = head.host {
            output.append(text: " HTTP/1.1\r\nHost: ")
            output.append(bytes, host)
            output += HTTP1Line.end
        } else {
            output += endpoint.hostLines
        }
        var dropped = isTrusted ? client.droppedOfTrusted : client.droppedOfStrangers
        // Only checked values are forwarded: the credential that was used, and an organization that was compared with it.
        if exchange.principal == nil {
            dropped.insert(.organizationID)
        } else {
            dropped.insert(exchange.credentialField == .apiKey ? .authorization : .apiKey)
            if let name = head.organizationID, name.isEmpty { dropped.insert(.organizationID) }
        }
        head.appendEndToEndFields(
            of: bytes, dropping: dropped,
            droppingOther: { bytes, range in
                let name = bytes.extracting(range)
                return ReservedField.isReserved(name, isTrusted: isTrusted) || FieldName.isAlias(bytes, range)
                    || !client.passesCredential && client.isCredential(name)
            }, to: &output)
        output += identity.bytes
        if let generation = exchange.leaseGeneration {
            output += ForwardedFields.leaseGeneration
            output.append(decimal: generation)
            output += HTTP1Line.end
        }
        appendTrace(head, bytes, exchange, to: &output)
        switch framing {
        // A POST without a body has a length of 0; a GET has none (RFC 9110, section 8.6).
        case .none: if !head.method.isSafe, head.method != .delete { output.append(text: "Content-Length: 0\r\n") }
        case .length(let length):
            output += HTTP1Line.contentLength
            output.append(decimal: length)
            output += HTTP1Line.end
        case .chunked: output += HTTP1Line.chunked
        }
        output += HTTP1Line.end
    }

    private static func appendTrace(
        _ head: RequestHead, _ bytes: Span<UInt8>, _ exchange: borrowing Exchange, to output: inout [UInt8]
    ) {
        output += ForwardedFields.traceparent
        exchange.trace.appendTraceparent(to: &output)
        output += HTTP1Line.end
        guard exchange.trace.isJoined else { return }
        var check = TraceStateCheck()
        for value in head.values(of: .tracestate) { check.receivedLine(bytes.extracting(value)) }
        guard check.isForwardable(in: exchange.trace) else { return }
        for value in head.values(of: .tracestate) {
            output.append(text: "tracestate: ")
            output.append(bytes, value)
            output += HTTP1Line.end
        }
    }
}
