internal import HTTP
internal import Policy
internal import Transport

/// How a forwarded request's body is framed.
enum ForwardedFraming: Equatable {
    case none
    case length(Int)
    case chunked
}

extension Worker {
    /// Appends the head of a request as the upstream gets it: target and end-to-end fields byte for byte, without what belongs
    /// to the client's connection and what only the gateway may say; then what the gateway says (RFC 9110, section 7.6).
    func appendForwardedHead(
        of connection: borrowing ServerConnection, for grant: Grant, _ exchange: borrowing Exchange,
        to url: UpstreamURL, _ client: UpstreamClient, _ framing: ForwardedFraming, _ output: inout [UInt8]
    ) {
        let head = connection.head
        let bytes = connection.input.span.extracting(connection.headStart..<connection.headStart + head.end)
        let plan = client.cluster.plan
        let isTrusted = exchange.policies.trusts(connection.peer)

        output += head.method.bytes
        output.append(UInt8(ascii: " "))
        output.append(text: url.base)
        output.append(bytes, head.originForm)
        output += ForwardedHead.versionAndHost
        appendHost(head, bytes, url, plan.settings.host, to: &output)
        output += ForwardedHead.lineEnd

        var dropped = isTrusted ? ForwardedHead.alwaysDropped : ForwardedHead.droppedFromStrangers
        if plan.settings.credential != .pass { dropped = dropped.union(ForwardedHead.credentials) }
        let sent = plan.credential?.name ?? []
        let passes = plan.settings.credential == .pass
        head.appendEndToEndFields(
            of: bytes, dropping: dropped,
            droppingOther: { bytes, range in
                let name = bytes.extracting(range)
                return ForwardedHead.isReserved(name, isTrusted: isTrusted)
                    || !passes
                        && (ForwardedHead.isRead(name, as: ForwardedHead.apiKey)
                            || ForwardedHead.isRead(name, as: sent))
            }, to: &output)
        if let credential = plan.credential { output += credential.line }

        output += ForwardedHead.via
        appendClient(of: connection, head, bytes, isTrusted: isTrusted, to: &output)
        appendTrace(head, bytes, exchange, to: &output)
        appendIdentity(grant, exchange, to: &output)
        switch framing {
        // A POST without a body says so; a GET has nothing to say (RFC 9110, section 8.6).
        case .none: if !head.method.isSafe, head.method != .delete { output += ForwardedHead.noBody }
        case .length(let length):
            output += ForwardedHead.contentLength
            output.append(decimal: length)
            output += ForwardedHead.lineEnd
        case .chunked: output += ForwardedHead.chunked
        }
        output += ForwardedHead.lineEnd
    }

    private func appendHost(
        _ head: RequestHead, _ bytes: Span<UInt8>, _ url: UpstreamURL, _ field: UpstreamSettings.HostField,
        to output: inout [UInt8]
    ) {
        switch field {
        case .client: if let host = head.host { output.append(bytes, host) } else { output.append(text: url.authority) }
        case .named(let name): output.append(text: name)
        case .upstream: output.append(text: url.authority)
        }
    }

    /// Who the client is and how it came: of strangers only what this connection shows, of a trusted proxy what it says, with
    /// the proxy itself behind it (RFC 7239, section 4).
    private func appendClient(
        of connection: borrowing ServerConnection, _ head: RequestHead, _ bytes: Span<UInt8>, isTrusted: Bool,
        to output: inout [UInt8]
    ) {
        output += ForwardedHead.forwardedFor
        if isTrusted { ForwardedHead.append(head.values(of: .xForwardedFor), of: bytes, to: &output) }
        output.append(text: connection.peer)
        let knows = isTrusted && head.values(of: .xForwardedProto).contains { !$0.isEmpty }
        output += knows ? ForwardedHead.lineEnd : ForwardedHead.forwardedProto
        if let host = head.host, !(isTrusted && head.values(of: .xForwardedHost).contains { !$0.isEmpty }) {
            output += ForwardedHead.forwardedHost
            output.append(bytes, host)
            output += ForwardedHead.lineEnd
        }
        output += ForwardedHead.forwarded
        if isTrusted { ForwardedHead.append(head.values(of: .forwarded), of: bytes, to: &output) }
        // An IPv6 address is bracketed and quoted (RFC 7239, section 6).
        let isV6 = connection.peer.utf8.contains(UInt8(ascii: ":"))
        output.append(text: isV6 ? "for=\"[" : "for=")
        output.append(text: connection.peer)
        output.append(text: isV6 ? "]\"" : "")
        output += ForwardedHead.protoOfForwarded
        if let host = head.host {
            output += ForwardedHead.hostOfForwarded
            output.append(bytes, host)
            output.append(UInt8(ascii: "\""))
        }
        output += ForwardedHead.lineEnd
    }

    private func appendTrace(
        _ head: RequestHead, _ bytes: Span<UInt8>, _ exchange: borrowing Exchange, to output: inout [UInt8]
    ) {
        output += ForwardedHead.traceparent
        exchange.trace.appendTraceparent(to: &output)
        output += ForwardedHead.lineEnd
        guard exchange.trace.isJoined else { return }
        var check = TraceStateCheck()
        for value in head.values(of: .tracestate) { check.receivedLine(bytes.extracting(value)) }
        guard check.isForwardable(in: exchange.trace) else { return }
        for value in head.values(of: .tracestate) {
            output += ForwardedHead.tracestate
            output.append(bytes, value)
            output += ForwardedHead.lineEnd
        }
    }

    /// For whom the gateway speaks. A client cannot: its fields of these names never go on.
    private func appendIdentity(_ grant: Grant, _ exchange: borrowing Exchange, to output: inout [UInt8]) {
        if let organization = grant.organization {
            output += ForwardedHead.organization
            output.append(text: organization.id)
            output += ForwardedHead.lineEnd
        }
        if let principal = grant.principal {
            output += ForwardedHead.principal
            output.append(text: principal.tokenID)
            output += ForwardedHead.lineEnd
        }
        output += exchange.policies.upstreamVersionLine
    }
}

/// The constant parts of a forwarded head, and which of the client's fields are not part of it.
enum ForwardedHead {
    static let lineEnd = Array("\r\n".utf8)
    static let versionAndHost = Array(" HTTP/1.1\r\nHost: ".utf8)
    static let contentLength = Array("Content-Length: ".utf8)
    static let noBody = Array("Content-Length: 0\r\n".utf8)
    static let chunked = Array("Transfer-Encoding: chunked\r\n".utf8)
    static let forwardedFor = Array("X-Forwarded-For: ".utf8)
    static let forwardedProto = Array("\r\nX-Forwarded-Proto: https\r\n".utf8)
    static let forwardedHost = Array("X-Forwarded-Host: ".utf8)
    static let forwarded = Array("Forwarded: ".utf8)
    static let protoOfForwarded = Array(";proto=https".utf8)
    static let hostOfForwarded = Array(";host=\"".utf8)
    static let traceparent = Array("traceparent: ".utf8)
    static let tracestate = Array("tracestate: ".utf8)
    static let organization = Array("X-Gateway-Organization: ".utf8)
    static let principal = Array("X-Gateway-Principal: ".utf8)

    /// This process among the gateways a request may pass: a name that comes back is a loop (RFC 9110, section 7.6.3).
    static let pseudonym: String = {
        var random = FastRandom()
        let digits = (0..<8).map { _ in String(random.next() & 0xF, radix: 16) }.joined()
        return "connector-gateway-\(digits)"
    }()
    static let via = Array("Via: 1.1 \(pseudonym)\r\n".utf8)

    /// What is written anew or was for this connection only. `Expect` has been met by the gateway itself.
    static let alwaysDropped: FieldNameSet = [
        .host, .contentLength, .expect, .traceparent, .tracestate, .trailer, .xForwardedFor, .forwarded,
    ]
    static let droppedFromStrangers = alwaysDropped.union([.xForwardedProto, .xForwardedHost])
    static let credentials: FieldNameSet = [.authorization, .apiKey]

    /// Whether a field name, in any spelling that some server takes for the same, is the gateway's own to say: servers that
    /// make variables of names see no difference between `-` and `_`.
    static func isReserved(_ name: Span<UInt8>, isTrusted: Bool) -> Bool {
        guard name.count >= 9, name[0] | 0x20 == UInt8(ascii: "x") || name[0] | 0x20 == UInt8(ascii: "f") else {
            return false
        }
        if begins(name, with: gatewayPrefix) { return true }
        if name.count == forwardedName.count, begins(name, with: forwardedName) { return true }
        guard begins(name, with: forwardedPrefix) else { return false }
        return !isTrusted || hasUnderscore(name)
    }

    static let apiKey = Array("x-api-key".utf8)
    private static let gatewayPrefix = Array("x-gateway-".utf8)
    private static let forwardedPrefix = Array("x-forwarded-".utf8)
    private static let forwardedName = Array("forwarded".utf8)

    /// Whether some server takes a field of that name for one of `known`, which is in lower case.
    static func isRead(_ name: Span<UInt8>, as known: [UInt8]) -> Bool {
        guard name.count == known.count, !known.isEmpty else { return false }
        for index in known.indices {
            let byte = name[index] == UInt8(ascii: "_") ? UInt8(ascii: "-") : name[index] | 0x20
            guard byte == (known[index] == UInt8(ascii: "_") ? UInt8(ascii: "-") : known[index]) else { return false }
        }
        return true
    }

    private static func begins(_ name: Span<UInt8>, with prefix: [UInt8]) -> Bool {
        guard name.count >= prefix.count else { return false }
        for index in prefix.indices {
            let byte = name[index] == UInt8(ascii: "_") ? UInt8(ascii: "-") : name[index] | 0x20
            guard byte == prefix[index] else { return false }
        }
        return true
    }

    private static func hasUnderscore(_ name: Span<UInt8>) -> Bool {
        for index in name.indices where name[index] == UInt8(ascii: "_") { return true }
        return false
    }

    /// Appends the members that were there before, each with the comma behind it.
    static func append(_ values: some Sequence<Range<Int>>, of bytes: Span<UInt8>, to output: inout [UInt8]) {
        for value in values where !value.isEmpty {
            output.append(bytes, value)
            output.append(text: ", ")
        }
    }

    /// Whether the request has passed this process before.
    static func isLoop(_ head: RequestHead, _ bytes: Span<UInt8>) -> Bool {
        for value in head.values(of: .via) where value.count >= pseudonym.utf8.count {
            if bytes.text(value).contains(pseudonym) { return true }
        }
        return false
    }
}
