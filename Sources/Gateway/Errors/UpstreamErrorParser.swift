internal import Bytes
internal import JSON

/// The parts of an upstream's error body, in the terms of the envelope; `nil` and empty if the body has none.
///
/// Reads this gateway's envelope and other `error` objects, FastAPI's `detail` (text, list or object), lists of `errors`,
/// problem details (RFC 9457), the errors of RFC 6749, and objects with a text under `message`, `msg` or `error`. HTML,
/// plain text, and other bodies give nothing: they are written for people at the upstream, not for its clients.
struct UpstreamErrorParser: Equatable {
    var code: String?
    var message: String?
    /// The upstream's text for developers, in addition to the message.
    var systemMessage: String?
    var details: [ErrorDetail.Member] = []

    /// `status` is the status of the response.
    init(_ json: JSONValue?, status: Int) {
        guard let root = json, root.object != nil else { return }
        if let error = root["error"], error.object != nil {
            adoptEnvelope(error, status: status)
        } else if let detail = root["detail"], !detail.isNull {
            adoptDetail(detail, root)
        } else if root["title"]?.string != nil {
            adopt(code: root["code"], message: root["title"])
            adoptProblem(root, except: ["title"])
        } else if let description = root["error_description"]?.string {
            adopt(code: root["error"])
            adopt(message: description)
        } else if let errors = root["errors"], errors.array != nil || errors.object != nil {
            adoptErrors(errors, root)
        } else {
            adoptText(root)
        }
    }

    private mutating func adoptEnvelope(_ error: JSONValue, status: Int) {
        // If the body's status contradicts the response's, the body is about another response and its code would mislead.
        if error["status"]?.integer.map({ $0 == Int64(status) }) ?? true {
            adopt(code: error["code"])
            // Google's API errors have a number in `code` and the word in `status`.
            if error["code"]?.integer != nil { adopt(code: error["status"]) }
        }
        adopt(message: error["message"]?.string ?? error["detail"]?.string ?? error["description"]?.string)
        systemMessage = error["system_message"]?.string.flatMap(DisplayText.line)
        guard let details = error["details"] else { return }
        self.details = details.array == nil ? Self.members(of: details) : [.init("errors", Self.json(details))]
    }

    /// The parts that clients get of a 5xx: only the code, if it has the usual form. The texts are for operators; they
    /// contain stack traces, queries and addresses.
    var ofFailure: UpstreamErrorParser {
        var body = UpstreamErrorParser(nil, status: 0)
        body.code = code.flatMap { Self.isPlainCode($0) ? $0 : nil }
        return body
    }

    private static func isPlainCode(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0.isUppercaseLetter || $0.isDigit || $0 == .underscore }
    }

    /// Reads FastAPI's `detail`: a text, the list of a validation error, or an object of the application. Problem
    /// details also have a text there.
    private mutating func adoptDetail(_ detail: JSONValue, _ root: JSONValue) {
        adopt(code: root["code"] ?? root["error_type"] ?? root["error_code"], message: detail)
        if let list = detail.array {
            adopt(message: list.first.flatMap(Self.message(of:)))
            details = [.init("errors", Self.json(detail))]
        } else if detail.object != nil {
            adopt(code: detail["code"], message: detail["message"] ?? detail["detail"] ?? detail["error"])
            details = Self.members(of: detail)
        } else if root["title"] != nil || root["type"] != nil {
            adoptProblem(root, except: ["detail"])
        } else {
            for name in ["errors", "meta"] { adoptMember(name, of: root) }
        }
        if message == nil { adopt(message: root["message"]?.string ?? root["title"]?.string) }
    }

    /// Reads the members of problem details (RFC 9457, section 3), including extensions.
    private mutating func adoptProblem(_ root: JSONValue, except used: [String]) {
        let own = used + ["status", "code", "upstream"]
        for member in root.object ?? [] where !own.contains(where: member.name.hasSameBytes(as:)) {
            // `about:blank` means that the status is the whole information (section 4.2.1).
            let isVoid = member.value.isNull || member.value.string?.hasSameBytes(as: "about:blank") == true
            if !isVoid { details.append(.init(member.name, Self.json(member.value))) }
        }
    }

    /// Reads a list of error objects (Airweave, JSON:API), or an object with a list for each field.
    private mutating func adoptErrors(_ errors: JSONValue, _ root: JSONValue) {
        adopt(code: root["code"] ?? root["error_code"] ?? errors.array?.first?["code"])
        adopt(message: root["message"]?.string)
        if message == nil {
            adopt(message: errors.array == nil ? Self.message(of: errors) : errors.array?.first.flatMap(Self.message))
        }
        details = [.init("errors", Self.json(errors))]
    }

    private mutating func adoptText(_ root: JSONValue) {
        adopt(code: root["code"] ?? root["error_code"])
        let message = root["message"] ?? root["msg"]
        if let list = message?.array {
            adopt(message: list.first?.string)
            details = [.init("errors", Self.json(.init(kind: .array(list), range: root.range)))]
        } else {
            adopt(message: message?.string)
        }
        guard let error = root["error"]?.string else { return }
        if self.message == nil { return adopt(message: error) }
        // If there is also a message, `error` is a code or the reason phrase of the status.
        if code == nil, error.utf8.contains(UInt8(ascii: "_")) { adopt(code: root["error"]) }
    }

    private mutating func adopt(code: JSONValue?, message: JSONValue?) {
        adopt(code: code)
        adopt(message: message?.string)
    }

    private mutating func adopt(code: JSONValue?) {
        if let text = code?.string, Self.isCode(text) { self.code = text }
    }

    private mutating func adopt(message: String?) {
        if let text = message.flatMap(DisplayText.line) { self.message = text }
    }

    private mutating func adoptMember(_ name: String, of root: JSONValue) {
        if let value = root[name], !value.isNull { details.append(.init(name, Self.json(value))) }
    }

    /// The message of `{"loc":["body","streams"],"msg":"field required"}`, `{"body.streams":"field required"}`, or a text.
    private static func message(of error: JSONValue) -> String? {
        if let text = error.string { return text }
        let message =
            error["msg"]?.string ?? error["message"]?.string ?? error["detail"]?.string ?? error["title"]?.string
        guard let message else {
            guard let first = error.object?.first, let text = first.value.string ?? first.value.array?.first?.string
            else { return nil }
            return first.name.isEmpty ? text : "\(first.name): \(text)"
        }
        let path = (error["loc"]?.array ?? []).compactMap { $0.string ?? $0.integer.map(String.init) }
        return path.isEmpty ? message : "\(path.joined(separator: ".")): \(message)"
    }

    /// All members except `upstream`, the name of the original error that the policies may show.
    private static func members(of value: JSONValue) -> [ErrorDetail.Member] {
        (value.object ?? []).filter { !$0.name.hasSameBytes(as: "upstream") }.map { .init($0.name, json($0.value)) }
    }

    private static func json(_ value: JSONValue) -> ErrorDetail {
        var writer = JSONWriter()
        writer.value(value)
        return .json(writer.bytes)
    }

    /// Whether the text is a stable word such as `CONNECTOR_JOB_NOT_FOUND`, and not a sentence or a number.
    private static func isCode(_ text: String) -> Bool {
        guard let first = text.utf8.first, first.isLetter else { return false }
        return text.utf8.count <= 64
            && text.utf8.allSatisfy { $0.isLetterOrDigit || $0 == .underscore || $0 == .hyphen || $0 == .dot }
    }
}
