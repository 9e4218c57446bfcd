internal import Bytes
internal import HTTP
internal import Policy

/// Finds the client's address behind the proxies that the policies trust.
enum ClientAddress {
    /// The peer, unless it is a trusted proxy. Then the rightmost address in `X-Forwarded-For` that is not a trusted
    /// proxy; without that field, in `Forwarded`. Clients can write anything to the left of it. If the list cannot be
    /// read up to that address, the result is the peer.
    static func find(_ peer: String, _ policies: WorkerPolicies, _ head: RequestHead, _ bytes: Span<UInt8>) -> String {
        guard !bytes.isEmpty, policies.trusts(peer) else { return peer }
        var text: [UInt8] = []
        let hasList = head.fields.contains { $0.name == .xForwardedFor }
        for value in head.values(of: hasList ? .xForwardedFor : .forwarded) {
            if !text.isEmpty { text.append(.comma) }
            text.append(bytes, value)
        }
        return client(in: text, isForwarded: !hasList) { policies.trusts($0) } ?? peer
    }

    /// The maximum number of proxies that are skipped.
    private static let maxHops = 32

    static func client(in list: [UInt8], isForwarded: Bool, isTrusted: (String) -> Bool) -> String? {
        var rest = list[...]
        for _ in 0..<maxHops {
            guard !rest.isEmpty else { return nil }
            guard let start = startOfLastMember(in: rest) else { return nil }
            let member = rest[start...]
            let node = isForwarded ? nodeOfForwarded(member) : trimmed(member)
            guard let node, let address = address(of: node) else { return nil }
            if !isTrusted(address) { return address }
            rest = rest[..<max(start - 1, rest.startIndex)]
        }
        return nil
    }

    /// The position after the last comma outside quotes. The search starts at the end, so that nothing further left can
    /// change the result. `nil` if a quote is not closed.
    private static func startOfLastMember(in list: ArraySlice<UInt8>) -> Int? {
        var isQuoted = false
        for index in list.indices.reversed() {
            if isQuote(index, in: list) { isQuoted.toggle() }
            if list[index] == .comma, !isQuoted { return index + 1 }
        }
        return isQuoted ? nil : list.startIndex
    }

    /// Whether a quoted string begins or ends here. A quote behind a backslash is a character of the string (RFC 9110, section
    /// 5.6.4), and a backslash may itself stand behind one. Backslashes occur in quoted strings only.
    private static func isQuote(_ index: Int, in text: ArraySlice<UInt8>) -> Bool {
        guard text[index] == .quote else { return false }
        let start = text[..<index].lastIndex { $0 != .backslash } ?? text.startIndex - 1
        return (index - start) % 2 == 1
    }

    /// The value of `for` in a member such as `for="[2001:db8::1]:4711";proto=https`. `for` must occur exactly once (RFC 7239,
    /// section 4).
    private static func nodeOfForwarded(_ member: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let nodes = parameters(of: member).map(trimmed).filter {
            $0.prefix(4).elementsEqual("for=".utf8, by: { $0 | 0x20 == $1 | 0x20 })
        }
        guard nodes.count == 1 else { return nil }
        let value = nodes[0].dropFirst(4)
        return value.first == .quote ? unquoted(value) : value
    }

    /// What stands between the semicolons outside of quotes.
    private static func parameters(of member: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var parameters: [ArraySlice<UInt8>] = []
        var start = member.startIndex
        var isQuoted = false
        for index in member.indices {
            if isQuote(index, in: member) { isQuoted.toggle() }
            guard member[index] == .semicolon, !isQuoted else { continue }
            parameters.append(member[start..<index])
            start = index + 1
        }
        parameters.append(member[start...])
        return parameters
    }

    /// The text of a quoted string, without the backslashes of its quoted pairs; `nil` where it ends too early or not at all.
    private static func unquoted(_ string: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var text: [UInt8] = []
        var index = string.startIndex + 1
        while index < string.endIndex {
            if string[index] == .quote { return index == string.endIndex - 1 ? text[...] : nil }
            if string[index] == .backslash { index += 1 }
            guard index < string.endIndex else { return nil }
            text.append(string[index])
            index += 1
        }
        return nil
    }

    /// The canonical text of an address with or without a port; `nil` for any other text.
    private static func address(of node: ArraySlice<UInt8>) -> String? {
        guard node.count <= 64 else { return nil }
        var host = node
        if node.first == UInt8(ascii: "[") {
            guard let end = node.firstIndex(of: UInt8(ascii: "]")), isPort(node[(end + 1)...]) else { return nil }
            host = node[(node.startIndex + 1)..<end]
        } else if node.filter({ $0 == .colon }).count == 1, let colon = node.firstIndex(of: .colon) {
            guard isPort(node[colon...]) else { return nil }
            host = node[..<colon]
        }
        guard let bytes = IPAddress.bytes(of: String(decoding: host, as: UTF8.self)) else { return nil }
        return IPAddress.text(of: IPAddress.unmapped(bytes))
    }

    private static func isPort(_ text: ArraySlice<UInt8>) -> Bool {
        text.isEmpty || (text.first == .colon && (2...6).contains(text.count) && text.dropFirst().allSatisfy(\.isDigit))
    }

    private static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var text = text
        while let first = text.first, first == .space || first == .tab { text.removeFirst() }
        while let last = text.last, last == .space || last == .tab { text.removeLast() }
        return text
    }
}
