internal import Bytes
internal import HTTP
internal import Transport

// What is kept of a relayed response.
extension StoredResponse {
    /// The kept part of the head that `upstream` has read, as the client gets it. Call it before the body is read.
    static func head(of upstream: UpstreamConnection, for exchange: borrowing Exchange, host: [UInt8]) -> StoredResponse
    {
        let locations = exchange.endpoint?.locations
        var fields: [Field] = []
        var contentType = ""
        upstream.withHead { head, bytes in
            if let type = head.contentType { contentType = bytes.text(type) }
            for field in head.endToEndFields(of: bytes) {
                let name = bytes.text(field.nameRange)
                guard isKept(name), !RelayedFields.dropped.contains(field.name),
                    !RelayedFields.isDropped(bytes, field.nameRange, isMapped: false)
                else { continue }
                var value = bytes.array(field.value)
                if let locations, let kind = UpstreamLocations.Field(field, bytes) {
                    switch locations.location(of: value, in: kind, host: host) {
                    case .elsewhere: break
                    case .mapped(let mapped): value = mapped
                    case .inside: continue
                    }
                }
                fields.append(Field(name, String(decoding: value, as: UTF8.self)))
            }
        }
        return StoredResponse(status: upstream.status, contentType: contentType, fields: fields, body: nil)
    }

    /// The response with its body; `nil`: it was too large to be kept.
    func with(_ body: [UInt8]?) -> StoredResponse {
        var whole = self
        whole.body = body
        return whole
    }
}
