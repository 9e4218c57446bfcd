internal import COpenSSL
internal import Glibc
internal import Synchronization

/// The newest TLS session of each server, for the next connection to resume (RFC 8446, section 2.2). One store for all
/// loops.
///
/// OpenSSL changes sessions that are in use. Those in the store are not: copies go in and copies come out.
final class SessionStore: Sendable {
    /// A session that is not in use.
    ///
    /// `@unchecked Sendable`: OpenSSL only reads it, to copy it, until it is freed.
    @safe private final class StoredSession: @unchecked Sendable {
        let pointer: OpaquePointer

        @unsafe init?(copying session: OpaquePointer) {
            // SAFETY: the copy is owned by this object alone.
            guard let copy = unsafe SSL_SESSION_dup(session) else { return nil }
            unsafe pointer = copy
        }

        deinit { unsafe SSL_SESSION_free(pointer) }
    }

    /// Newest last.
    private let stored = Mutex<[(key: [UInt8], session: StoredSession)]>([])

    /// The maximum of servers; the one with the oldest session is removed first.
    static let limit = 64

    @unsafe func store(_ session: OpaquePointer, at key: [UInt8]) {
        guard let copy = unsafe StoredSession(copying: session) else { return }
        stored.withLock { stored in
            stored.removeAll { $0.key == key }
            if stored.count >= SessionStore.limit { stored.removeFirst() }
            stored.append((key, copy))
        }
    }

    func forget(_ key: [UInt8]) {
        stored.withLock { stored in stored.removeAll { $0.key == key } }
    }

    /// Gives a copy of the server's session to `ssl`, if there is one that has not expired.
    ///
    /// Resumption does not verify the certificate again, so a session's age is bounded.
    @unsafe func offer(to ssl: OpaquePointer, at key: [UInt8], now: Int = time(nil)) {
        guard let found = stored.withLock({ stored in stored.first { $0.key == key } })?.session else { return }
        // SAFETY: `found` lives until the end of this function; SSL_set_session takes a reference of its own.
        guard unsafe now < SSL_SESSION_get_time(found.pointer) + SSL_SESSION_get_timeout(found.pointer) else {
            return forget(key)
        }
        guard let copy = unsafe SSL_SESSION_dup(found.pointer) else { return }
        unsafe SSL_set_session(ssl, copy)
        unsafe SSL_SESSION_free(copy)
    }

    var countForTest: Int { stored.withLock { $0.count } }
}
