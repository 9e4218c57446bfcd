internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

/// The field lines with the caller, the client's address, and the organization, for the upstream.
///
/// Nearly all requests of a connection have the same lines, so they are cached and made again only when their source
/// differs.
struct IdentityFields {
    private(set) var bytes: [UInt8] = []
    /// The share of the permits that the connection's requests count against.
    var share = PermitShare()
    private var source: Source?
    private var host: [UInt8] = []

    /// The source of the lines. It has numbers and no references: an idle connection must not retain an upstream's
    /// connections or a policy set. The identities of principal and organization are unique within one policy set.
    private struct Source: Equatable {
        let client: UInt64
        let policies: UInt64
        let principal: ObjectIdentifier?
        let organization: ObjectIdentifier?
    }

    /// Updates `bytes` for this request.
    mutating func update(
        for grant: Grant, _ request: borrowing Request, _ policies: WorkerPolicies,
        _ client: UpstreamClient
    ) {
        let isTrusted = policies.trusts(request.peer)
        let source = Source(
            client: client.serial, policies: policies.serial, principal: grant.principal.map(ObjectIdentifier.init),
            organization: grant.organization.map(ObjectIdentifier.init))
        if source == self.source, hasHost(of: request) { return }
        // The fields of a trusted proxy may differ for each request.
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
        // No early exit, so that the compiler compares many bytes at once.
        var difference: UInt8 = 0
        for index in 0..<own.count { difference |= own[index] ^ host[index] }
        return difference == 0
    }

    /// Appends the fields with the origin of the request (RFC 7239, section 4). For an untrusted peer they have only the
    /// facts of this connection. For a trusted proxy they have the proxy's values, followed by the proxy's own address.
    private mutating func appendOrigin(_ peer: String, _ head: RequestHead, _ request: Span<UInt8>, isTrusted: Bool) {
        bytes.append(text: "X-Forwarded-For: ")
        if isTrusted { append(head.values(of: .xForwardedFor), of: request) }
        bytes.append(text: peer)
        bytes.append(text: "\r\n")
        // A trusted proxy's own lines have been forwarded with the other fields.
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
        // An IPv6 address is in brackets and quotes (RFC 7239, section 6).
        bytes.append(text: peer.utf8.contains(UInt8(ascii: ":")) ? "for=\"[\(peer)]\"" : "for=\(peer)")
        bytes.append(text: ";proto=https")
        if !host.isEmpty {
            bytes.append(text: ";host=\"")
            bytes += host
            bytes.append(text: "\"")
        }
        bytes.append(text: "\r\n")
    }

    /// Appends the earlier members, each followed by a comma.
    private mutating func append(_ values: some Sequence<Range<Int>>, of request: Span<UInt8>) {
        for value in values where !value.isEmpty {
            bytes.append(request, value)
            bytes.append(text: ", ")
        }
    }

    /// Appends the caller and the organization. Clients cannot forge these fields, because theirs are never forwarded.
    private mutating func appendIdentity(_ grant: Grant, _ policies: WorkerPolicies) {
        if let organization = grant.organization {
            bytes.append(text: "X-Gateway-Organization: \(organization.id)\r\n")
        }
        if let principal = grant.principal { bytes.append(text: "X-Gateway-Principal: \(principal.tokenID)\r\n") }
        bytes.append(text: "X-Gateway-Policy-Version: \(policies.shortVersion)\r\n")
    }
}
