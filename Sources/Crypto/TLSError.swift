internal import COpenSSL

/// What OpenSSL refused to do, with its own reason for the log. Never shown to a client.
package struct TLSError: Error, Equatable, CustomStringConvertible {
    package enum Operation: String, Sendable {
        case newContext, loadCertificate, loadKey, keyMismatch, newSession, handshake, read, write, shutdown
        case issueCertificate, digest
    }

    package let operation: Operation
    package let reason: String

    package init(_ operation: Operation, reason: String) {
        self.operation = operation
        self.reason = reason
    }

    package var description: String { "\(operation.rawValue): \(reason)" }

    /// Takes the newest entry of this thread's OpenSSL error queue and empties the queue.
    static func current(_ operation: Operation) -> TLSError {
        var reason = "connection closed without a TLS close_notify"
        var code = ERR_get_error()
        while code != 0 {
            reason = Self.text(of: code)
            code = ERR_get_error()
        }
        return TLSError(operation, reason: reason)
    }

    private static func text(of code: UInt) -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        // SAFETY: OpenSSL writes at most `count` bytes, the terminating zero included.
        unsafe buffer.withUnsafeMutableBufferPointer { unsafe ERR_error_string_n(code, $0.baseAddress, $0.count) }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
