internal import JSON

/// The JSON object of a request. Every error names its field.
struct RequestBody: Sendable {
    private let bytes: [UInt8]
    private let members: [JSONMember]

    /// Parses the object; a name that is not in `known` is an error.
    init(_ bytes: [UInt8], known: [String]) throws(APIError) {
        let value: JSONValue
        do { value = try JSONValue.read(bytes.span, limits: JSONLimits(values: 200_000)) } catch {
            throw APIError(
                status: 400, code: "INVALID_JSON", message: "The body is not valid JSON: \(error.message).",
                details: [("field", .string("body")), ("reason", .string(error.message))])
        }
        try self.init(bytes, read: value, known: known)
    }

    /// The same for a body that was parsed before.
    init(_ bytes: [UInt8], read value: JSONValue, known: [String]) throws(APIError) {
        guard let members = value.object else { throw .invalid("body", "must be a JSON object") }
        for member in members where !known.contains(where: member.name.hasSameBytes) {
            throw .invalid(member.name, "is unknown; known are \(known.joined(separator: ", "))")
        }
        self.bytes = bytes
        self.members = members
    }

    subscript(_ name: String) -> JSONValue? { members.first { $0.name.hasSameBytes(as: name) }?.value }

    /// The text of a field with two spellings; both may be present if they agree.
    func string(_ name: String, or other: String) throws(APIError) -> String {
        let (first, second) = (try text(name), try text(other))
        if let first, let second, !first.hasSameBytes(as: second) { throw .conflictingFields(name, other) }
        guard let value = first ?? second else { throw .invalid(name, "is required") }
        guard !value.isEmpty else { throw .invalid(name, "must not be empty") }
        return value
    }

    private func text(_ name: String) throws(APIError) -> String? {
        guard let value = self[name] else { return nil }
        guard let text = value.string else { throw .invalid(name, "must be a string") }
        return text
    }

    func strings(_ name: String) throws(APIError) -> [String] {
        guard let value = self[name] else { throw .invalid(name, "is required") }
        guard let elements = value.array else { throw .invalid(name, "must be an array of strings") }
        var strings: [String] = []
        for (index, element) in elements.enumerated() {
            guard let text = element.string else { throw .invalid("\(name)[\(index)]", "must be a string") }
            strings.append(text)
        }
        return strings
    }

    /// A flag; absent or null means `false`.
    func flag(_ name: String) throws(APIError) -> Bool {
        guard let value = self[name], !value.isNull else { return false }
        guard let flag = value.bool else { throw .invalid(name, "must be true or false") }
        return flag
    }

    /// The original bytes of a value.
    func raw(_ value: JSONValue) -> [UInt8] { Array(bytes[value.range.lowerBound..<value.range.upperBound]) }
}

extension ConnectorService {
    /// Bodies up to this size are parsed by the caller: that takes less time than passing them to another thread.
    private static let longBody = 32 << 10

    /// Runs `work` on the side thread if the request's body is long, because the caller is an event loop with other
    /// clients.
    func offLoopIfLong<Value: Sendable>(
        _ request: ConnectorRequest, _ work: @escaping @Sendable () throws(APIError) -> Value
    ) async throws(APIError) -> Value {
        guard request.body.count > Self.longBody else { return try work() }
        return try await sideThreads.run(work)
    }

    func body(of request: ConnectorRequest, known: [String]) async throws(APIError) -> RequestBody {
        if let value = request.bodyValue { return try RequestBody(request.body, read: value, known: known) }
        return try await offLoopIfLong(request) { () throws(APIError) in try RequestBody(request.body, known: known) }
    }
}
