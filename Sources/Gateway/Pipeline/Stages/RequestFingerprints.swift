internal import Bytes
internal import Crypto
internal import HTTP
internal import JSON
internal import Policy
internal import Transport

/// Makes the fingerprints of requests. One belongs to each worker, because it keeps its hash function's memory.
final class RequestFingerprints {
    private let hash = SHA256()

    /// A longer body is not parsed, and has no fingerprint without a key: it would keep the loop busy, and requests that start a job are short.
    static let maxBodyBytes = 65_536

    /// The fingerprint of a request without a key: its method, path, query and body; `nil` if the body is long, or not in memory.
    ///
    /// JSON bodies with the same meaning have the same fingerprint, whatever the order of their members, and whichever of its two
    /// spellings a member has. `value` is the body as JSON, if a stage has parsed it.
    func fingerprint(
        of request: borrowing Request, _ body: ForwardedBody, _ value: JSONValue?
    ) -> RequestFingerprint? {
        guard case .whole(let bytes) = body, bytes.count <= Self.maxBodyBytes else { return nil }
        var form = start(of: request)
        append(bytes, value ?? (try? JSONValue.read(bytes.span)), to: &form)
        return fingerprint(of: form)
    }

    /// The fingerprint of a request with an idempotency key: its method, path, query and whole body; `nil` if the body is not in
    /// memory.
    ///
    /// Short JSON bodies with the same meaning have the same fingerprint, other bodies must have the same bytes.
    func keyedFingerprint(of request: borrowing Request, _ body: ForwardedBody) -> RequestFingerprint? {
        guard case .whole(let bytes) = body else { return nil }
        var form = start(of: request)
        if bytes.count <= Self.maxBodyBytes, request.head.hasJSONBody(in: request.headBytes) {
            append(bytes, try? JSONValue.read(bytes.span), to: &form)
        } else {
            // A short body cannot pass for the digest of a long one.
            form.append(1)
            form += hash.digest(of: bytes.span).bytes
        }
        return fingerprint(of: form)
    }

    /// What the request says before its body. The path is whole: a route can match several, which mean different things. No part can
    /// have a zero byte, so it separates them.
    private func start(of request: borrowing Request) -> [UInt8] {
        let query = request.head.query
        var form: [UInt8] = []
        form.reserveCapacity(512)
        form += request.head.method.bytes
        form.append(0)
        form.append(request.headBytes, request.head.path)
        // One slash at the end of a path is ignored.
        if form.last == .slash { form.removeLast() }
        form.append(0)
        if let query { form.append(request.headBytes, query) }
        form.append(0)
        return form
    }

    /// The identity of the record of a key. No part before the key can have a zero byte.
    func recordID(
        of key: IdempotencyKey, organization: String, subject: String, operation: String
    ) -> IdempotencyRecordID {
        var form: [UInt8] = []
        for part in [organization, subject, operation] {
            form += part.utf8
            form.append(0)
        }
        form += key.bytes
        return IdempotencyRecordID(hash.digest(of: form.span))
    }

    private func append(_ body: [UInt8], _ value: JSONValue?, to form: inout [UInt8]) {
        var json = JSONWriter()
        if body.isEmpty {
            form.append(0)
        } else if let value, json.canonicalFields(value) {
            form += json.bytes
        } else {
            form += body
        }
    }

    private func fingerprint(of form: [UInt8]) -> RequestFingerprint {
        let digest = hash.digest(of: form.span)
        return RequestFingerprint(high: digest.words.a, low: digest.words.b)
    }
}

extension JSONWriter {
    /// The canonical form of a body, with the names of its members in snake case: the API has two spellings of each. Returns `false`
    /// if the body has both spellings of one, or a number that has no exact form: then only equal bytes mean the same.
    fileprivate mutating func canonicalFields(_ value: JSONValue) -> Bool {
        guard value.hasExactNumbers else { return false }
        guard let members = value.object else {
            canonical(value)
            return true
        }
        var fields: [(name: String, value: JSONValue)] = []
        for member in members { fields.append((Self.snakeCase(member.name), member.value)) }
        beginObject()
        var last: String?
        for field in fields.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
            // By bytes: Unicode's comparison takes long for a client's thousands of combining marks.
            if let last, field.name.hasSameBytes(as: last) { return false }
            last = field.name
            name(field.name)
            canonical(field.value)
        }
        endObject()
        return true
    }

    private static func snakeCase(_ name: String) -> String {
        guard name.hasUppercaseLetter else { return name }
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

extension String {
    fileprivate var hasUppercaseLetter: Bool {
        let bytes = utf8Span.span
        for index in bytes.indices where bytes[index].isUppercaseLetter { return true }
        return false
    }
}

extension JSONValue {
    /// Whether each number of the value is a whole one that has an exact form. Others may be rounded to the same.
    fileprivate var hasExactNumbers: Bool {
        switch kind {
        case .null, .bool, .string: true
        case .number(let number): number.integer != nil
        case .array(let elements): elements.allSatisfy(\.hasExactNumbers)
        case .object(let members): members.allSatisfy(\.value.hasExactNumbers)
        }
    }
}
