/// Help for path variables in the notation of other routers.
enum PathHints {
    /// The name of the variable, if a segment is one in another router: `:id`, `<id>`, `<int:id>`, `*id`, `[id]`,
    /// `{id:[0-9]+}`, `$id`.
    static func variable(_ segment: Substring) -> Substring? {
        guard let first = segment.first, segment.count > 1 else { return nil }
        let inner = segment.dropFirst()
        switch first {
        case ":", "*", "$": return inner
        case "<" where inner.hasSuffix(">"): return inner.dropLast().split(separator: ":").last
        case "[" where inner.hasSuffix("]"): return inner.dropLast()
        case "{" where inner.hasSuffix("}"): return inner.dropLast().split(separator: ":").first
        default: return nil
        }
    }

    /// The notation to write instead.
    static func help(for variable: Substring) -> String {
        if let meant = meant(by: variable) { return "write {\(meant.rawValue)}" }
        return "write {organization}, {connection} or {job}, or \"*\" for any one segment"
    }

    /// Recognizes `orgId`, `connection_id` and `job`, but not `id` alone.
    private static func meant(by variable: Substring) -> RoutePattern.Capture? {
        var name = variable.lowercased().filter(\.isLetter)
        if name.hasSuffix("id") { name.removeLast(2) }
        let captures = RoutePattern.Capture.allCases.filter { $0 != .any }
        let near = nearest(to: name, among: captures.map(\.rawValue))
        return captures.first { capture in
            near == capture.rawValue || name.hasSuffix(capture.rawValue)
                || name.count >= 3 && capture.rawValue.hasPrefix(name)
        }
    }
}
