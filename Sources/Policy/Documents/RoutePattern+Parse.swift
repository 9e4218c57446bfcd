internal import Bytes

extension RoutePattern {
    /// The named variables of the path.
    var captures: Set<Capture> {
        var found: Set<Capture> = []
        for case .capture(let capture) in segments where capture != .any { found.insert(capture) }
        return found
    }

    /// The variables, for messages.
    var captureText: String {
        let names = captures.map { "{\($0.rawValue)}" }.sorted()
        return names.isEmpty ? "none" : names.joined(separator: ", ")
    }

    /// Reads `METHOD /path`.
    static func read(_ text: Located<String>, of owner: String, _ diagnostics: DiagnosticCollector) -> RoutePattern? {
        func refuse(_ message: String, _ help: [String] = []) -> RoutePattern? {
            diagnostics.error(.badPattern, "\"match\" of \(owner): \(message)", at: text.span, help: help)
            return nil
        }
        let parts = text.value.split(separator: " ", omittingEmptySubsequences: true)
        guard parts.count == 2, parts[1].hasPrefix("/") else {
            return refuse(
                "\"\(text.value)\" is not a method and a path", ["for example \"GET /v1/things/{connection}\""])
        }
        var methods: RouteMethods = []
        for name in parts[0].split(separator: ",", omittingEmptySubsequences: false) {
            let known = RouteMethods.named.filter { $0.method != .options }
            if name == "*" {
                methods.formUnion(.any)
            } else if let method = known.first(where: { $0.name == name }) {
                methods.formUnion(method.method)
            } else {
                let help = diagnostics.suggestion(for: String(name), among: known.map(\.name))
                return refuse(
                    "unknown method \"\(name)\"",
                    help.isEmpty
                        ? ["the methods are \(known.map(\.name).joined(separator: ", ")); \"*\" means all of them"]
                        : help)
            }
        }
        var segments: [Segment] = []
        let path = parts[1].dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        if path == [""] { return RoutePattern(methods: methods, segments: []) }
        guard path.count <= maxSegments else { return refuse("the path has more than \(maxSegments) segments") }
        for (index, part) in path.enumerated() {
            if part.isEmpty {
                return index == path.count - 1
                    ? refuse(
                        "the path ends with a slash",
                        ["remove the slash: the route also matches requests with a slash at the end"])
                    : refuse("the path has an empty segment", ["remove one of the slashes"])
            }
            if part == "**" {
                guard index == path.count - 1 else { return refuse("\"**\" must be the last segment") }
                segments.append(.rest)
            } else if part == "*" {
                segments.append(.capture(.any))
            } else if part.hasPrefix("{"), part.hasSuffix("}") {
                let name = String(part.dropFirst().dropLast())
                guard let capture = Capture(rawValue: name), capture != .any else {
                    return refuse(
                        "unknown variable \"{\(name)}\"", [PathHints.help(for: PathHints.variable(part) ?? part)])
                }
                guard !segments.contains(.capture(capture)) else { return refuse("\"{\(name)}\" appears twice") }
                segments.append(.capture(capture))
            } else if let variable = PathHints.variable(part) {
                return refuse(
                    "\"\(part)\" is not a variable in the notation of policies", [PathHints.help(for: variable)])
            } else {
                guard part.utf8.allSatisfy({ $0.isUnreserved || $0 == UInt8(ascii: ":") }), part != ".", part != ".."
                else {
                    return refuse(
                        "\"\(part)\" is not a valid segment",
                        [
                            "a segment is one variable, or consists of letters, digits, \"-\", \".\", \"_\", \"~\" and \":\""
                        ])
                }
                segments.append(.literal(Array(part.utf8)))
            }
        }
        return RoutePattern(methods: methods, segments: segments)
    }
}
