internal import COpenSSL

/// The files of a certificate chain and its key.
package struct TLSIdentity: Sendable, Equatable {
    /// PEM files; relative paths of the policy are already resolved.
    package let certificateFile: String
    package let keyFile: String

    package init(certificateFile: String, keyFile: String) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}

/// The shared parts of a listener's TLS connections: versions, ciphers, certificates by name, ticket keys.
///
/// `@unchecked Sendable`: OpenSSL's SSL_CTX may be used by many threads once it is complete, and this one never changes
/// after `init` (new files on disk make a new context).
@safe package final class TLSContext: @unchecked Sendable {
    /// Borrowed by `TLSSession` only.
    let pointer: OpaquePointer
    private let keys: TicketKeys
    /// Contexts of the other identities, and the names that select them.
    private let others: [TLSContext]
    private let names: [String: Int]
    private let ownNames: [String]
    private let identity: TLSIdentity
    private let daysLeft: Int

    /// Loads every identity; the first one is served if no name matches.
    package convenience init(
        identities: [TLSIdentity], keys: TicketKeys, requiresTLS13: Bool = false
    ) throws(TLSError) {
        guard let first = identities.first else {
            throw TLSError(.loadCertificate, reason: "no certificate is configured")
        }
        var others: [TLSContext] = []
        for identity in identities.dropFirst() {
            others.append(try TLSContext(identity, keys: keys, requiresTLS13, others: []))
        }
        try self.init(first, keys: keys, requiresTLS13, others: others)
        if !others.isEmpty { chooseByServerName() }
    }

    private init(
        _ identity: TLSIdentity, keys: TicketKeys, _ requiresTLS13: Bool, others: [TLSContext]
    ) throws(TLSError) {
        ERR_clear_error()
        // SAFETY: this object alone owns the new context and frees it in deinit. deinit does not run for an incomplete
        // object, so until then the context is freed here.
        guard let context = unsafe SSL_CTX_new(TLS_server_method()) else { throw .current(.newContext) }
        do throws(TLSError) {
            unsafe try TLSContext.configure(context, identity, requiresTLS13)
        } catch {
            unsafe SSL_CTX_free(context)
            throw error
        }
        unsafe self.pointer = context
        self.keys = keys
        self.others = others
        self.identity = identity
        daysLeft = unsafe SSL_CTX_get0_certificate(context).map { unsafe Certificate.daysLeft(of: $0) } ?? 0
        // The names of the leaf decide which identity a client's SNI selects.
        ownNames = unsafe SSL_CTX_get0_certificate(context).map { unsafe Certificate.names(of: $0) } ?? []
        var names: [String: Int] = [:]
        for (index, other) in others.enumerated() {
            for name in other.ownNames where names[name] == nil { names[name] = index }
        }
        for name in ownNames { names[name] = nil }
        self.names = names
        // SAFETY: the ring is kept alive by `keys`, at least as long as the context; sessions keep the context
        // alive, and `TicketKeys` is one object for the life of the process.
        unsafe SSL_CTX_set_ex_data(context, ticketKeysIndex, Unmanaged.passUnretained(keys).toOpaque())
        unsafe copenssl_set_ticket_callback(context, sealOrOpenTicket)
        unsafe SSL_CTX_set_info_callback(context, countMessage)
        unsafe SSL_CTX_set_alpn_select_cb(context, selectProtocol, nil)
        // Sessions may only be resumed by servers that hold the same ring, which is this process.
        let id: [UInt8] = Array("connector-gateway".utf8)
        unsafe SSL_CTX_set_session_id_context(context, id, UInt32(id.count))
    }

    deinit { unsafe SSL_CTX_free(pointer) }

    @unsafe private static func configure(
        _ context: OpaquePointer, _ identity: TLSIdentity, _ requiresTLS13: Bool
    ) throws(TLSError) {
        unsafe try TLSParameters.apply(to: context)
        // SAFETY: the caller owns the context.
        if requiresTLS13 { unsafe copenssl_set_min_version(context, TLS1_3_VERSION) }
        unsafe copenssl_prefer_server_ciphers(context)
        unsafe copenssl_set_session_cache(context, Int(SSL_SESS_CACHE_OFF))
        unsafe SSL_CTX_set_num_tickets(context, 1)
        unsafe try TLSParameters.use(
            certificateFile: identity.certificateFile, keyFile: identity.keyFile, in: context)
    }

    /// DNS names of the served leaf certificates.
    package var certificateNames: [String] { ownNames + others.flatMap(\.ownNames) }

    /// The certificate files of this context that end within `days`, with the days that are left (negative: expired).
    package func certificates(endingWithin days: Int) -> [(file: String, daysLeft: Int)] {
        ([self] + others).filter { $0.daysLeft < days }.map { ($0.identity.certificateFile, $0.daysLeft) }
    }

    private func chooseByServerName() {
        // SAFETY: the argument is this object, which outlives its SSL_CTX's sessions: `ServerConnection` holds it.
        unsafe copenssl_set_servername_callback(pointer, chooseIdentity)
        unsafe copenssl_set_servername_argument(pointer, Unmanaged.passUnretained(self).toOpaque())
    }

    /// The context that serves `serverName`: an exact name first, then its parent's wildcard.
    fileprivate func context(for serverName: String) -> TLSContext? {
        let name = serverName.lowercased()
        if ownNames.contains(name) { return nil }
        if let index = names[name] { return others[index] }
        guard let dot = name.firstIndex(of: ".") else { return nil }
        return names["*" + name[dot...]].map { others[$0] }
    }
}

@c private func chooseIdentity(
    _ ssl: OpaquePointer?, _ alert: UnsafeMutablePointer<Int32>?, _ argument: UnsafeMutableRawPointer?
) -> Int32 {
    // SAFETY: the argument was set by `chooseByServerName`; the name is a C string that lives with the session.
    guard let argument = unsafe argument,
        let name = unsafe SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)
    else { return SSL_TLSEXT_ERR_NOACK }
    let context = unsafe Unmanaged<TLSContext>.fromOpaque(argument).takeUnretainedValue()
    if let chosen = unsafe context.context(for: String(cString: name)) {
        unsafe SSL_set_SSL_CTX(ssl, chosen.pointer)
    }
    return SSL_TLSEXT_ERR_OK
}

/// Selects `http/1.1` if it is offered; a client that offers only other protocols is served without ALPN.
@c private func selectProtocol(
    _ ssl: OpaquePointer?, _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ outLength: UnsafeMutablePointer<UInt8>?,
    _ offered: UnsafePointer<UInt8>?, _ offeredLength: UInt32, _ argument: UnsafeMutableRawPointer?
) -> Int32 {
    // SAFETY: `offered` has `offeredLength` bytes; the result points into it, as the contract requires.
    guard let out = unsafe out, let outLength = unsafe outLength, let offered = unsafe offered else {
        return SSL_TLSEXT_ERR_NOACK
    }
    let wanted = Array("http/1.1".utf8)
    var index = 0
    while index < Int(offeredLength) {
        let length = Int(unsafe offered[index])
        let start = index + 1
        guard start + length <= Int(offeredLength) else { break }
        if length == wanted.count, (0..<length).allSatisfy({ unsafe offered[start + $0] == wanted[$0] }) {
            unsafe out.pointee = unsafe offered + start
            unsafe outLength.pointee = UInt8(length)
            return SSL_TLSEXT_ERR_OK
        }
        index = start + length
    }
    return SSL_TLSEXT_ERR_NOACK
}
