import Foundation
import Gateway
import Policy

/// The policies at the start, with a demo token if the policies have the organization of the demo.
struct InitialPolicies {
    let set: PolicySet
    let warnings: [Diagnostic]
    /// The demo token if this start made it. Its text is not stored, so it can be shown only now.
    let demoToken: String?

    /// `showDiagnostics` prints errors and warnings. `showToken` prints a new demo token before it becomes valid.
    init(
        _ source: PolicySource, _ state: StateFolder, showDiagnostics: (String) -> Void, showToken: (String) -> Void
    ) throws {
        var (set, warnings) = try InitialPolicies.load(source, showDiagnostics)
        var token: String?
        if set.organizations[Organization.demoID] != nil {
            token = try state.makeDemoToken(organization: Organization.demoID, show: showToken)
            if token != nil { (set, warnings) = try InitialPolicies.load(source, showDiagnostics) }
        }
        showDiagnostics(InitialPolicies.text(warnings))
        (self.set, self.warnings, demoToken) = (set, warnings, token)
    }

    /// The store that begins with these policies and reloads `source`.
    func store(over source: PolicySource) -> PolicyStore {
        PolicyStore(
            initial: set, warnings: warnings, now: { Int64(Date().timeIntervalSince1970) },
            read: {
                do throws(PolicyFolder.Unreadable) { return .files(try source.readSettled()) } catch {
                    return .unreadable(error.message)
                }
            },
            load: PolicySource.load)
    }

    private static func load(
        _ source: PolicySource, _ showDiagnostics: (String) -> Void
    ) throws(StartupError) -> (PolicySet, warnings: [Diagnostic]) {
        let files: [PolicyFile]
        do throws(PolicyFolder.Unreadable) { files = try source.read() } catch {
            throw StartupError(line: error.message + " (choose another folder with --policies DIR)")
        }
        switch PolicySource.load(files) {
        case .loaded(let set, let warnings): return (set, warnings)
        case .refused(let diagnostics):
            showDiagnostics(text(diagnostics))
            if diagnostics.allSatisfy({ $0.severity != .error || $0.file == source.demoTokenFile }) {
                throw StartupError(
                    line: "\(source.demoTokenFile) is damaged: delete the file, and start again to get a new demo token"
                )
            }
            throw StartupError(
                line:
                    "the policies in \(source.folder.path) have errors (see above): correct them, and check them with: gateway policy check \(source.folder.path)"
            )
        }
    }

    private static func text(_ diagnostics: [Diagnostic]) -> String {
        diagnostics.map { "\($0.rendered)\n" }.joined()
    }
}
