/// Why the gateway cannot use a file that the policies name.
package enum FileProblem: Sendable {
    case absent
    case isFolder
    case unreadable

    fileprivate var text: String {
        switch self {
        case .absent: "does not exist"
        case .isFolder: "is a folder"
        case .unreadable: "cannot be read"
        }
    }
}

/// A file that a policy names and the gateway reads when it starts: a certificate, a key, a secret.
struct ReferencedFile {
    let field: String
    let owner: String
    let path: Located<String>
    /// The path may be the secret itself, written there by mistake.
    let isSecret: Bool
}

extension ObjectReader {
    /// The name of a file.
    func file(_ name: String, isSecret: Bool = false) -> String? {
        guard let text = string(name) else { return nil }
        guard !text.value.isEmpty, !text.value.utf8.contains(where: { $0 < 0x20 }), !text.value.hasPrefix("-----BEGIN")
        else {
            // The text may be the content of the file.
            diagnostics.conceal(text.span)
            diagnostics.error(
                .badValue, "\"\(name)\" of \(owner) is not a file name", at: text.span,
                help: ["write the path of a file, absolute or relative to the policy folder"])
            return nil
        }
        diagnostics.record(ReferencedFile(field: name, owner: owner, path: text, isSecret: isSecret))
        return text.value
    }
}

extension DiagnosticCollector {
    /// Warns of the files in which `problem` finds a problem. No error: the check may run on another machine.
    func lintFiles(_ problem: (_ path: String) -> FileProblem?) {
        for file in referencedFiles {
            guard let found = problem(file.path.value) else { continue }
            if file.isSecret { conceal(file.path.span) }
            let name = file.isSecret ? "" : " \"\(file.path.value)\""
            warning(
                .unusableFile, "\"\(file.field)\" of \(file.owner): the file\(name) \(found.text)", at: file.path.span,
                help: ["the gateway cannot start without this file; a relative path starts at the policy folder"]
            )
        }
    }
}
