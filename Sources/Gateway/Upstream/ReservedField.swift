internal import HTTP

/// Fields that only the gateway may send, whatever spelling of their names a server reads.
enum ReservedField {
    /// Whether only the gateway may write a field of this name, in any spelling that some server takes as equal.
    /// Servers that make variables of names treat `-` and `_` as equal; some treat `-` and all other signs as equal.
    static func isReserved(_ name: Span<UInt8>, isTrusted: Bool) -> Bool {
        if changesMeaning(name) { return true }
        guard name.count >= 9, name[0] | 0x20 == UInt8(ascii: "x") || name[0] | 0x20 == UInt8(ascii: "f") else {
            return false
        }
        if begins(name, with: gatewayPrefix) { return true }
        if name.count == forwardedName.count, begins(name, with: forwardedName) { return true }
        // The proper name was compared with the token in an earlier stage; other spellings were not.
        if isRead(name, as: organizationName) { return true }
        guard begins(name, with: forwardedPrefix) else { return false }
        return !isTrusted || hasOtherSign(name)
    }

    /// Whether some servers read the field as a different method, target, caller or proxy than the one that was decided
    /// about.
    private static func changesMeaning(_ name: Span<UInt8>) -> Bool {
        switch name.count {
        case 5: isRead(name, as: proxy)
        case 11: isRead(name, as: remoteUser)
        case 13: isRead(name, as: method) || isRead(name, as: rewriteURL) || isRead(name, as: otherRemoteUser)
        case 14: isRead(name, as: originalURL)
        case 17: isRead(name, as: methodOverride)
        case 22: isRead(name, as: longMethodOverride)
        default: false
        }
    }

    private static let proxy = Array("proxy".utf8)
    private static let remoteUser = Array("remote-user".utf8)
    private static let otherRemoteUser = Array("x-remote-user".utf8)
    private static let method = Array("x-http-method".utf8)
    private static let methodOverride = Array("x-method-override".utf8)
    private static let longMethodOverride = Array("x-http-method-override".utf8)
    private static let originalURL = Array("x-original-url".utf8)
    private static let rewriteURL = Array("x-rewrite-url".utf8)

    static let apiKey = Array("x-api-key".utf8)
    private static let gatewayPrefix = Array("x-gateway-".utf8)
    private static let forwardedPrefix = Array("x-forwarded-".utf8)
    private static let forwardedName = Array("forwarded".utf8)
    private static let organizationName = Array("x-organization-id".utf8)

    /// Whether some servers read a field of this name as `known`, which is in lower case.
    static func isRead(_ name: Span<UInt8>, as known: [UInt8]) -> Bool {
        guard name.count == known.count, !known.isEmpty else { return false }
        for index in known.indices {
            guard isRead(name[index], as: known[index]) else { return false }
        }
        return true
    }

    private static func begins(_ name: Span<UInt8>, with prefix: [UInt8]) -> Bool {
        guard name.count >= prefix.count else { return false }
        for index in prefix.indices {
            guard isRead(name[index], as: prefix[index]) else { return false }
        }
        return true
    }

    @inline(__always)
    private static func isRead(_ byte: UInt8, as known: UInt8) -> Bool {
        known == UInt8(ascii: "-") || known == UInt8(ascii: "_") ? FieldName.isSeparator(byte) : byte | 0x20 == known
    }

    private static func hasOtherSign(_ name: Span<UInt8>) -> Bool {
        for index in name.indices where name[index] != UInt8(ascii: "-") && FieldName.isSeparator(name[index]) {
            return true
        }
        return false
    }
}
