/// What `gateway policy check` says about a policy set.
package struct PolicyCheck: Sendable {
    /// Every finding as people read it, one after the other; empty where there are none.
    package let findings: String
    /// One line on what was checked and what came of it.
    package let summary: String
    /// 0 if the set can run, warnings or not; 1 otherwise.
    package let exitCode: Int32

    /// Describes the result of loading `folder`.
    package init(_ load: PolicyLoad, folder: String, fileCount: Int) {
        let diagnostics: [Diagnostic]
        var contents = ""
        switch load {
        case .loaded(let set, let warnings):
            diagnostics = warnings
            let counts = [
                Self.count(set.routes.routes.count, "route"), Self.count(set.limits.count, "limit"),
                Self.count(set.organizations.count, "organization"), Self.count(set.tokenCount, "token"),
            ]
            contents = "\(counts.joined(separator: ", ")), version \(set.shortVersion), "
            exitCode = 0
        case .refused(let found):
            diagnostics = found
            exitCode = 1
        }
        findings = diagnostics.map(\.rendered).joined(separator: "\n")
        let errors = diagnostics.count { $0.severity == .error }
        let problems = "\(Self.count(errors, "error")), \(Self.count(diagnostics.count - errors, "warning"))"
        summary = "\(folder): \(Self.count(fileCount, "file")), \(contents)\(problems)"
    }

    private static func count(_ number: Int, _ noun: String) -> String {
        number == 1 ? "1 \(noun)" : "\(number) \(noun)s"
    }
}
