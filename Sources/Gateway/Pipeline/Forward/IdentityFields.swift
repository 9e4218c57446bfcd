internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

/// The field lines with which the gateway tells the upstream who calls, from where, and for whom.
///
/// They are the same for nearly all requests of a connection, so they are made when one differs and copied for the others.
struct IdentityFields {
    private(set) var bytes: [UInt8] = []
    /// Whose share of the places its requests count against, and where that was found last.
    var share = PermitShare()
    private var source: Source?
    private var host: [UInt8] = []

    /// What the lines were made of. Numbers, not references: an idle connection must not keep an upstream's connections or a
    /// policy set alive. Principal and organization are those of the set, so within one set their addresses tell them apart.
    private struct Source: Equatable {
        let client: UInt64
        let policies: UInt64
        let principal: ObjectIdentifier?
        let organization: ObjectIdentifier?
    }

    /// Makes `bytes` those of this request.
    mutating func update(
        for grant: Grant, _ request: borrowing Request, _ policies: CompiledPolicies,
        _ client: UpstreamClient
    ) {
        let isTrusted = policies.trusts(request.peer)
        let source = Source(
            client: client.serial, policies: policies.serial, principal: grant.principal.map(ObjectIdentifier.init),
            organization: grant.organization.map(ObjectIdentifier.init))
        if source == self.source, hasHost(of: request) { return }
        // What a trusted proxy says may differ each time.
        self.source = isTrusted ? nil : source
        share.owner = grant.owner(from: request.peer)
        let head = request.head
        let headBytes = request.headBytes
        host = head.host.map { headBytes.array($0) } ?? []
        bytes.removeAll(keepingCapacity: true)
        bytes += client.constantFields
        appendOrigin(request.peer, head, headBytes, isTrusted: isTrusted)
        appendIdentity(grant, policies)
    }

    private func hasHost(of request: borrowing Request) -> Bool {
        guard let range = request.head.host else { return host.isEmpty }
        guard range.count == host.count else { return false }
        let own = request.headBytes.extracting(range)
        // Without a way out: the compiler compares many bytes at once then.
        var difference: UInt8 = 0
        for index in 0..<own.count { difference |= own[index] ^ host[index] }
        return difference == 0
    }

    /// Appends the fields that say from where the client came (RFC 7239, section 4). For a stranger they hold only what this
    /// connection shows. For a trusted proxy they hold what the proxy says, followed by the proxy's own address.
    private mutating func appendOrigin(_ peer: String, _ head: RequestHead, _ request: Span<UInt8>, isTrusted: Bool) {
        bytes.append(text: "X-Forwarded-For: ")
        if isTrusted { append(head.values(of: .xForwardedFor), of: request) }
        bytes.append(text: peer)
        bytes.append(text: "\r\n")
        // A trusted proxy's own lines have gone on with the others.
        if !(isTrusted && head.values(of: .xForwardedProto).contains { !$0.isEmpty }) {
            bytes.append(text: "X-Forwarded-Proto: https\r\n")
        }
        if !host.isEmpty, !(isTrusted && head.values(of: .xForwardedHost).contains { !$0.isEmpty }) {
            bytes.append(text: "X-Forwarded-Host: ")
            bytes += host
            bytes.append(text: "\r\n")
        }
        bytes.append(text: "Forwarded: ")
        if isTrusted { append(head.values(of: .forwarded), of: request) }
        // An IPv6 address is bracketed and quoted (RFC 7239, section 6).
        bytes.append(text: peer.utf8.contains(UInt8(ascii: ":")) ? "for=\"[\(peer)]\"" : "for=\(peer)")
        bytes.append(text: ";proto=https")
        if !host.isEmpty {
            bytes.append(text: ";host=\"")
            bytes += host
            bytes.append(text: "\"")
        }
        bytes.append(text: "\r\n")
    }

    /// Appends the members that were there before, each with the comma behind it.
    private mutating func append(_ values: some Sequence<Range<Int>>, of request: Span<UInt8>) {
        for value in values where !value.isEmpty {
            bytes.append(request, value)
            bytes.append(text: ", ")
        }
    }

    /// For whom the gateway speaks. A client cannot: its fields of these names never go on.
    private mutating func appendIdentity(_ grant: Grant, _ policies: CompiledPolicies) {
        if let organization = grant.organization {
            bytes.append(text: "X-Gateway-Organization: \(organization.id)\r\n")
        }
        if let principal = grant.principal { bytes.append(text: "X-Gateway-Principal: \(principal.tokenID)\r\n") }
        bytes.append(text: "X-Gateway-Policy-Version: \(policies.shortVersion)\r\n")
    }
}
