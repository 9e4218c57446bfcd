internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

enum UpstreamErrorReader {
    /// Reads an error response of the upstream: the fields for the client, and the body up to a limit.
    ///
    /// Never fails, because the status is already known.
    static func read(
        over upstream: UpstreamConnection, within timeout: Duration, now: Instant
    ) async -> UpstreamResponse {
        // Fields first: reading the body overwrites the head.
        var upstreamResponse = UpstreamResponse(status: upstream.status, contentType: "", body: [])
        let coding = upstream.contentCoding
        var isEncoded = false
        upstream.withHead { head, bytes in
            for field in head.endToEndFields(of: bytes) {
                upstreamResponse.fields.append((name: bytes.text(field.nameRange), value: bytes.text(field.value)))
            }
            if let type = head.contentType { upstreamResponse.contentType = bytes.text(type) }
            if let encoding = head.contentEncoding { isEncoded = !bytes.spells("identity", in: encoding) }
        }
        // An error does not deserve the long timeout that a large response may need.
        let deadline = now + min(timeout, .seconds(10))
        reading: while upstreamResponse.body.count <= maxBytes {
            do throws(UpstreamConnectionError) {
                switch try await upstream.nextBodyPiece(before: deadline) {
                case .bytes(let range): upstream.copyBody(range, to: &upstreamResponse.body)
                case .end: break reading
                }
            } catch {
                upstreamResponse.isTruncated = true
                break reading
            }
        }
        if upstreamResponse.body.count > maxBytes {
            upstreamResponse.isTruncated = true
            upstreamResponse.body.removeLast(upstreamResponse.body.count - maxBytes)
        }
        if isEncoded { decode(coding, &upstreamResponse) }
        return upstreamResponse
    }

    /// The maximum size of an error body, before and after decoding.
    private static let maxBytes = 65_536

    private static func decode(_ coding: ContentCoding?, _ upstreamResponse: inout UpstreamResponse) {
        guard let coding, !upstreamResponse.isTruncated,
            let plain = Inflate.decode(upstreamResponse.body.span, coding: coding, limit: maxBytes)
        else {
            upstreamResponse.body = []
            upstreamResponse.isTruncated = true
            return
        }
        upstreamResponse.body = plain
    }
}
