internal import COpenSSL

/// A failure of OpenSSL, with its reason for the log. Never sent to a client.
package struct TLSError: Error, Equatable, CustomStringConvertible {
    /// The operation that failed.
    package enum Operation: String, Sendable {
        case newContext, loadCertificate, loadKey, keyMismatch, loadAuthority, newSession, handshake, read, write
        /// A handshake that ended because this side does not trust the peer's certificate.
        case verify
        case issueCertificate, digest
    }

    /// The cause of the failure.
    package enum Cause: Equatable, Sendable {
        /// This side: the peer broke the protocol, or a file cannot be used.
        case refusal
        /// The peer sent this alert (RFC 8446, section 6).
        case alert(UInt8)
        /// The connection ended without a close_notify, or broke.
        case disconnected
    }

    package let operation: Operation
    package let cause: Cause
    package let reason: String

    package init(_ operation: Operation, cause: Cause = .refusal, reason: String) {
        self.operation = operation
        self.cause = cause
        self.reason = reason
    }

    package var description: String { "\(operation.rawValue): \(reason)" }

    /// Takes the newest entry of this thread's OpenSSL error queue and empties the queue.
    static func current(_ operation: Operation) -> TLSError {
        var newest: UInt = 0
        var code = ERR_get_error()
        while code != 0 {
            newest = code
            code = ERR_get_error()
        }
        guard newest != 0 else {
            return TLSError(
                operation, cause: .disconnected, reason: "connection closed without a TLS close_notify")
        }
        return TLSError(operation, cause: cause(of: newest), reason: text(of: newest))
    }

    private static func cause(of code: UInt) -> Cause {
        if let alert = UInt8(exactly: copenssl_alert(code)) { return .alert(alert) }
        return copenssl_is_unexpected_end(code) == 1 ? .disconnected : .refusal
    }

    private static func text(of code: UInt) -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        // SAFETY: OpenSSL writes at most `count` bytes, the terminating zero included.
        unsafe buffer.withUnsafeMutableBufferPointer { unsafe ERR_error_string_n(code, $0.baseAddress, $0.count) }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
