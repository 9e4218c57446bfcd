internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

enum UpstreamErrorReader {
    /// Reads an error of the upstream: its fields for the client, and as much of its body as an error may have.
    ///
    /// Never fails: the status is known, whatever becomes of the body.
    static func read(
        over upstream: UpstreamConnection, within timeout: Duration, now: Instant
    ) async -> UpstreamResponse {
        let head = upstream.head
        // Fields first: reading the body overwrites the head.
        let input = upstream.input
        let bytes = input.span.extracting(upstream.headStart..<upstream.headStart + head.end)
        var fields: [(name: String, value: String)] = []
        for field in head.endToEndFields(of: bytes) {
            fields.append((name: bytes.text(field.nameRange), value: bytes.text(field.value)))
        }
        var answer = UpstreamResponse(
            status: head.status, fields: fields, contentType: head.contentType.map { bytes.text($0) } ?? "", body: [])
        let isEncoded = head.contentEncoding.map { !bytes.spells("identity", in: $0) } ?? false
        let coding = head.contentEncoding.flatMap { ContentCoding(bytes, $0) }
        // An error is not worth the patience that a large answer may need.
        let deadline = now + min(timeout, .seconds(10))
        reading: while answer.body.count <= maxBytes {
            do throws(ExchangeFailure) {
                switch try await upstream.nextBodyPiece(before: deadline) {
                case .bytes(let range): upstream.copyBody(range, to: &answer.body)
                case .end: break reading
                }
            } catch {
                answer.isCut = true
                break reading
            }
        }
        if answer.body.count > maxBytes {
            answer.isCut = true
            answer.body.removeLast(answer.body.count - maxBytes)
        }
        if isEncoded { decode(coding, &answer) }
        return answer
    }

    /// How much of an error is looked at.
    private static let maxBytes = 65_536

    private static func decode(_ coding: ContentCoding?, _ answer: inout UpstreamResponse) {
        guard let coding, !answer.isCut,
            let plain = Inflate.decode(answer.body.span, coding: coding, limit: maxBytes)
        else {
            answer.body = []
            answer.isCut = true
            return
        }
        answer.body = plain
    }
}
