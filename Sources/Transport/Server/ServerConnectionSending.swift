internal import Crypto
internal import HTTP

// Sending to the client. Bytes are gathered in `output`, and leave in as few system calls and TLS records as possible.
extension ServerConnection {
    /// The number of bytes that were written so far, sent or not.
    package var bytesWritten: Int { bytesSent + output.count - outputSent }

    /// Sends `output`. Returns `false` if the client is gone or took too long.
    package mutating func flush() async -> Bool {
        if trySend() { return true }
        let isSent = await send(output, in: outputSent..<output.count)
        if !isSent { failedToSend() }
        outputSent = 0
        output.removeAll(keepingCapacity: output.capacity <= 65_536)
        return isSent
    }

    /// Sends the part of `output` that fills TLS records. The rest waits for the bytes that come after it.
    package mutating func flushFullRecords() async -> Bool {
        let end = output.count - output.count % ServerConnection.recordBytes
        if !trySend(to: end) {
            guard await send(output, in: outputSent..<end) else {
                failedToSend()
                return false
            }
        }
        output.removeSubrange(0..<end)
        outputSent = 0
        return true
    }

    /// Sees to it that nothing more is sent: OpenSSL would take it for the rest of the bytes that it could not send.
    private mutating func failedToSend() {
        hasFailedToSend = true
        state.mustAbort()
    }

    /// A TLS record holds so many bytes (RFC 8446, section 5.1).
    package static let recordBytes = 16_384

    /// Sends as much of `output` as the kernel takes now, which nearly always is all of it. Returns whether it was all.
    mutating func trySend() -> Bool {
        guard trySend(to: output.count) else { return false }
        outputSent = 0
        output.removeAll(keepingCapacity: output.capacity <= 65_536)
        return true
    }

    private mutating func trySend(to end: Int) -> Bool {
        guard !hasFailedToSend else { return false }
        while outputSent < end {
            guard case .done(let count)? = try? stream.write(output, from: outputSent, to: end) else { return false }
            bytesSent += count
            outputSent += count
        }
        return true
    }

    /// Sends `output`, and then `bytes` or a part of them, without a copy.
    package mutating func flush(then bytes: [UInt8], in range: Range<Int>? = nil) async -> Bool {
        guard await flush() else { return false }
        let isSent = await send(bytes, in: range ?? 0..<bytes.count)
        if !isSent { failedToSend() }
        return isSent
    }

    private mutating func send(_ bytes: [UInt8], in range: Range<Int>) async -> Bool {
        guard !hasFailedToSend else { return false }
        var sent = range.lowerBound
        while sent < range.upperBound {
            let progress: TLSProgress
            do throws(TLSError) { progress = try stream.write(bytes, from: sent, to: range.upperBound) } catch {
                return false
            }
            switch progress {
            case .done(let count):
                sent += count
                bytesSent += count
                if isTurnOver() { await nextTurn() }
            case .wantsWrite:
                guard await watch.writable(before: min(loop.now + timeouts.write, responseEnd)) == .ready else {
                    return false
                }
            case .wantsRead:
                guard await watch.readable(before: min(loop.now + timeouts.write, responseEnd)) == .ready else {
                    return false
                }
                stream.socketBecameReadable(closing: watch.isPeerClosing)
            case .closedByPeer: return false
            }
        }
        return true
    }
}
