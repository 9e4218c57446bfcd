internal import Bytes
internal import Crypto
internal import HTTP
internal import JSON
internal import Policy
internal import Transport

/// Makes the fingerprints of requests. One belongs to each worker, because it keeps its hash function's memory.
final class RequestFingerprints {
    private let hash = SHA256()

    /// The fingerprint of what a request asks of its route: the job in its path, its query and its body.
    ///
    /// JSON bodies with the same meaning have the same fingerprint, whatever the order of their members, and whichever of its two
    /// spellings a member has. `value` is the body as JSON, if a stage has parsed it.
    func fingerprint(
        of request: borrowing Request, _ body: ForwardedBody, _ value: JSONValue?, _ captures: RouteCaptures
    ) -> RequestFingerprint? {
        guard case .whole(let bytes) = body else { return nil }
        var form: [UInt8] = []
        if let job = captures.job {
            let path = request.bytes(request.head.path)
            form.append(path.span, job)
        }
        // No part can have a zero byte, so it separates them.
        form.append(0)
        if let query = request.head.query { form.append(request.headBytes, query) }
        form.append(0)
        var json = JSONWriter()
        if bytes.isEmpty {
            form.append(0)
        } else if let value = value ?? (try? JSONValue.read(bytes.span)) {
            json.canonicalFields(value)
            form += json.bytes
        } else {
            form += bytes
        }
        let digest = hash.digest(of: form.span)
        return RequestFingerprint(high: digest.words.a, low: digest.words.b)
    }
}

extension JSONWriter {
    /// The canonical form of a body, with the names of its members in snake case: the API has two spellings of each.
    fileprivate mutating func canonicalFields(_ value: JSONValue) {
        guard let members = value.object else { return canonical(value) }
        var fields: [(name: String, value: JSONValue)] = []
        for member in members { fields.append((Self.snakeCase(member.name), member.value)) }
        beginObject()
        for field in fields.sorted(by: { $0.name < $1.name }) {
            name(field.name)
            canonical(field.value)
        }
        endObject()
    }

    private static func snakeCase(_ name: String) -> String {
        guard name.utf8.contains(where: \.isUppercaseLetter) else { return name }
        var text: [UInt8] = []
        for byte in name.utf8 {
            if byte.isUppercaseLetter {
                text.append(UInt8(ascii: "_"))
                text.append(byte | 0x20)
            } else {
                text.append(byte)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
