extension PolicyValidation {
    /// A limit must not be on a class that no route has.
    ///
    /// If a route and a limit name nearly the same class, the less frequent name counts as the misspelling. Only that
    /// name is reported, where it is written.
    func checkClasses() {
        // A file that could not be read may define more classes.
        guard !diagnostics.hasUnreadableFile else { return }
        var limits: [String: [Located<String>]] = [:]
        for name in documents.limits.flatMap({ $0.classes ?? [] }) { limits[name.value, default: []].append(name) }
        var routes: [String: [Located<String>]] = [:]
        for name in documents.routes.compactMap(\.limitClass) { routes[name.value, default: []].append(name) }
        var explained: Set<String> = []
        for (name, uses) in routes.sorted(by: { $0.key < $1.key }) where limits[name] == nil {
            guard let meant = diagnostics.nearestName(to: name, among: limits.keys), let wanted = limits[meant] else {
                continue
            }
            if routes[meant] == nil {
                guard wanted.count > uses.count else { continue }
                explained.insert(meant)
            }
            report(slip: name, at: uses, of: wanted[0], isError: routes[meant] == nil)
        }
        for name in documents.limits.flatMap({ $0.classes ?? [] })
        where routes[name.value] == nil && !explained.contains(name.value) {
            var help = diagnostics.suggestion(for: name.value, among: routes.keys) { routes[$0]?.first?.span }
            if name.value == "*" { help = ["\"*\" means every class: write on: \"*\", without other names"] }
            if help.isEmpty { help = ["correct the name, or give it to a route as its \"class\""] }
            diagnostics.error(.unknownClass, "no route is of class \"\(name.value)\"", at: name.span, help: help)
        }
    }

    /// If other routes have the intended class, the misspelling is a warning: the set can run, but without that limit
    /// on this route.
    private func report(slip name: String, at uses: [Located<String>], of meant: Located<String>, isError: Bool) {
        let message = "no limit is on class \"\(name)\""
        let help = ["did you mean \"\(meant.value)\"? (a limit names it at \(diagnostics.location(of: meant.span)))"]
        for use in uses {
            if isError {
                diagnostics.error(.unknownClass, message, at: use.span, help: help)
            } else {
                diagnostics.warning(.unknownClass, message, at: use.span, help: help)
            }
        }
    }
}
