internal import JSON

extension ErrorResponse {
    /// An upstream's error in our words: its status is kept, its code and message where it brought some.
    ///
    /// Understands our envelope, FastAPI's `detail` (text, list or object) and `errors`, problem details (RFC 9457), and
    /// objects with a `message` or `error` text. Anything else - HTML, plain text, nothing, garbage - gets the catalogue's
    /// words for the status: such bodies are made for people at the upstream, not for its clients.
    package init(upstreamStatus status: Int, body: Span<UInt8>) {
        self.init(ErrorCode.generic(forStatus: status))
        self.status = status
        guard let root = try? JSONValue.read(body), root.object != nil else { return }

        if let error = root["error"], error.object != nil {
            adopt(code: error["code"], message: error["message"])
            details = Self.members(error["details"])
        } else if let detail = root["detail"] {
            adopt(code: root["code"] ?? root["error_type"], detail: detail)
            if root["title"] != nil || root["type"] != nil { adoptProblem(root) }
        } else if root["title"]?.string != nil {
            adopt(code: root["code"], message: root["title"])
            adoptProblem(root)
        } else if let errors = root["errors"] {
            adopt(code: root["code"], message: root["message"])
            if message == ErrorCode.generic(forStatus: status).entry.message, let first = errors.array?.first {
                adopt(message: Self.firstMessage(of: first))
            }
            details = [.init("errors", Self.json(errors))]
        } else {
            adopt(code: root["code"] ?? root["error_code"], message: root["message"] ?? root["error"])
        }
    }

    private mutating func adopt(code: JSONValue?, message: JSONValue?) {
        if let code = code?.string, Self.isCode(code) { self.code = code }
        adopt(message: message?.string)
    }

    /// FastAPI's `detail`: a text, the list of a validation error, or an object of the application's own.
    private mutating func adopt(code: JSONValue?, detail: JSONValue) {
        adopt(code: code, message: detail)
        if let list = detail.array {
            adopt(message: list.first.flatMap(Self.firstMessage))
            details = [.init("errors", Self.json(detail))]
        } else if detail.object != nil {
            adopt(code: detail["code"], message: detail["message"] ?? detail["detail"] ?? detail["error"])
            details = Self.members(detail)
        }
    }

    private mutating func adoptProblem(_ root: JSONValue) {
        let own = ["title", "status", "detail", "code", "message"]
        for member in root.object ?? [] where !own.contains(member.name) {
            details.append(.init(member.name, Self.json(member.value)))
        }
    }

    private mutating func adopt(message: String?) {
        guard let message, !message.isEmpty else { return }
        // Bounded, because it is repeated in the `detail` and may be shown to people.
        self.message = message.utf8.count <= 1024 ? message : String(message.prefix(512)) + "..."
    }

    /// `{"loc":["body","streams"],"msg":"field required"}` or `{"body.streams":"field required"}`.
    private static func firstMessage(of error: JSONValue) -> String? {
        if let text = error.string { return text }
        guard let message = error["msg"]?.string ?? error["message"]?.string else {
            guard let first = error.object?.first, let text = first.value.string else { return nil }
            return first.name.isEmpty ? text : "\(first.name): \(text)"
        }
        let path = (error["loc"]?.array ?? []).compactMap { $0.string ?? $0.integer.map(String.init) }
        return path.isEmpty ? message : "\(path.joined(separator: ".")): \(message)"
    }

    private static func members(_ value: JSONValue?) -> [ErrorDetail.Member] {
        (value?.object ?? []).map { .init($0.name, json($0.value)) }
    }

    private static func json(_ value: JSONValue) -> ErrorDetail {
        var writer = JSONWriter()
        writer.value(value)
        return .json(writer.bytes)
    }

    /// A stable word such as `CONNECTOR_JOB_NOT_FOUND`, not a sentence or a number.
    private static func isCode(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }
}
