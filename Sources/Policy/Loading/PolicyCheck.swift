/// The output of `gateway policy check`.
package struct PolicyCheck: Sendable {
    /// The text of all diagnostics; empty if there are none.
    package let findings: String
    /// One line with the things checked and the result.
    package let summary: String
    /// 0 if the set has no errors; 1 otherwise.
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
