internal import COpenSSL
internal import Synchronization

/// The keys that seal session tickets (RFC 8446, section 4.6.1), one ring for all workers so that any can resume.
///
/// Sendable: the ring changes under a `Mutex`. A key seals for one period and opens for one more.
package final class TicketKeys: Sendable {
    struct Key: Sendable {
        let name: [UInt8]
        let encryption: [UInt8]
        let authentication: [UInt8]

        static func fresh() -> Key {
            Key(
                name: SecureRandom.bytes(16), encryption: SecureRandom.bytes(32), authentication: SecureRandom.bytes(32)
            )
        }
    }

    private let ring = Mutex<[Key]>([.fresh()])

    /// Starts with one random key: tickets of other rings cannot be resumed.
    package init() {}

    /// Adds a new key. Tickets of the previous one can be resumed until the next rotation.
    package func rotate() {
        ring.withLock { $0 = [.fresh()] + $0.prefix(1) }
    }

    var sealing: Key? { ring.withLock { $0.first } }

    /// The key of that name and whether it is no longer the sealing one.
    func opening(named name: [UInt8]) -> (key: Key, isOld: Bool)? {
        ring.withLock { ring in
            ring.firstIndex { $0.name == name }.map { (ring[$0], $0 > 0) }
        }
    }
}

/// The index of a context's ring; OpenSSL passes the context to the callback.
let ticketKeysIndex = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, nil, nil, nil, nil)

/// Seals (`isSealing` 1) or opens a ticket: the contract of SSL_CTX_set_tlsext_ticket_key_evp_cb.
/// Returns 1 for use, 2 for use and renew, 0 for an unknown key (a full handshake follows), -1 for failure.
@c func sealOrOpenTicket(
    _ ssl: OpaquePointer?, _ name: UnsafeMutablePointer<UInt8>?, _ iv: UnsafeMutablePointer<UInt8>?,
    _ cipher: OpaquePointer?, _ mac: OpaquePointer?, _ isSealing: Int32
) -> Int32 {
    // SAFETY: OpenSSL passes 16 bytes of name and EVP_MAX_IV_LENGTH bytes of iv; the ring lives as long as the
    // context, which the session keeps alive.
    guard let name = unsafe name, let iv = unsafe iv,
        let context = unsafe SSL_get_SSL_CTX(ssl),
        let pointer = unsafe SSL_CTX_get_ex_data(context, ticketKeysIndex)
    else { return -1 }
    let keys = unsafe Unmanaged<TicketKeys>.fromOpaque(pointer).takeUnretainedValue()
    if isSealing == 1 {
        guard let key = keys.sealing, unsafe RAND_bytes(iv, 16) == 1 else { return -1 }
        for (index, byte) in key.name.enumerated() { unsafe name[index] = byte }
        return unsafe prepare(key, iv, cipher, mac, sealing: true) ? 1 : -1
    }
    guard let (key, isOld) = keys.opening(named: (0..<16).map { unsafe name[$0] }) else { return 0 }
    guard unsafe prepare(key, iv, cipher, mac, sealing: false) else { return -1 }
    return isOld ? 2 : 1
}

@unsafe private func prepare(
    _ key: TicketKeys.Key, _ iv: UnsafeMutablePointer<UInt8>, _ cipher: OpaquePointer?, _ mac: OpaquePointer?,
    sealing: Bool
) -> Bool {
    // SAFETY: key lengths fit AES-256-CBC and HMAC-SHA-256; OpenSSL copies what it needs before returning.
    let authenticated = unsafe copenssl_mac_init_sha256(mac, key.authentication, key.authentication.count) == 1
    let encrypted =
        unsafe sealing
        ? EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.encryption, iv) == 1
        : EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.encryption, iv) == 1
    return authenticated && encrypted
}
