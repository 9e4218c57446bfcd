internal import Crypto
internal import HTTP

// What goes to the client: gathered in `output`, sent in as few system calls and TLS records as it fits.
extension ServerConnection {
    /// Bytes that were written so far, sent or not.
    package var bytesWritten: Int { bytesSent + output.count - outputSent }

    /// Sends `output`. `false` when the client is gone or took too long.
    package mutating func flush() async -> Bool {
        if trySend() { return true }
        let isSent = await send(output, in: outputSent..<output.count)
        if !isSent { failedToSend() }
        outputSent = 0
        output.removeAll(keepingCapacity: output.capacity <= 65_536)
        return isSent
    }

    /// Sends what of `output` fills TLS records; the rest waits for what comes after it.
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

    /// OpenSSL would take what is sent next for the rest of what it could not send.
    private mutating func failedToSend() {
        hasFailedToSend = true
        state.mustAbort()
    }

    /// How much a TLS record holds (RFC 8446, section 5.1).
    package static let recordBytes = 16_384

    /// Sends as much of `output` as the kernel takes now, which nearly always is all of it. Whether it was.
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

    /// Sends `output`, then `bytes`, or a part of them, without copying them.
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
