internal import JSON

/// How a field of earlier policy files changed.
enum OutdatedField {
    case renamed(to: String)
    /// The field had no effect; the text says what holds without it.
    case removed(because: String)
}

extension Shape {
    /// How the field `name` of this object changed; `nil` if no earlier version had it.
    func outdatedField(_ name: String) -> OutdatedField? {
        switch (self, name) {
        case (.route, "answer"): .renamed(to: "respond")
        case (.route, "shows"): .renamed(to: "jobStatus")
        case (.routeTimeouts, "answer"), (.upstreamTimeouts, "answer"): .renamed(to: "responseHead")
        case (.upstream, "resolve"): .renamed(to: "dnsRefresh")
        case (.upstream, "retries"): .renamed(to: "retryBudget")
        case (.retryBudget, "least"): .renamed(to: "minPerSecond")
        case (.breaker, "failures"): .renamed(to: "consecutiveFailures")
        case (.breaker, "open"): .renamed(to: "openFor")
        case (.errorRule, "answer"): .renamed(to: "replaceWith")
        case (.lease, "holds"): .renamed(to: "lifetime")
        case (.lease, "onConflict"): .removed(because: "a request that meets a conflict always gets 409")
        default: nil
        }
    }
}

extension ObjectReader {
    /// Reports outdated fields, and returns the members under their current names. So their values are checked too, and
    /// a renamed field is not also reported as missing.
    static func current(
        _ members: [JSONMember], file: Int, of owner: String, shape: Shape, _ diagnostics: DiagnosticCollector
    ) -> [JSONMember] {
        members.compactMap { member in
            guard let outdated = shape.outdatedField(member.name) else { return member }
            let span = SourceSpan(file: file, range: member.nameRange)
            switch outdated {
            case .renamed(let name):
                diagnostics.error(
                    .outdatedField, "\"\(member.name)\" of \(owner) is now called \"\(name)\"", at: span,
                    help: ["write \"\(name)\" instead of \"\(member.name)\""])
                guard !members.contains(where: { $0.name == name }) else { return nil }
                return JSONMember(name: name, nameRange: member.nameRange, value: member.value)
            case .removed(let reason):
                diagnostics.error(
                    .outdatedField, "\(owner) has no field \"\(member.name)\" any more", at: span,
                    help: ["remove it: \(reason)"])
                return nil
            }
        }
    }
}
