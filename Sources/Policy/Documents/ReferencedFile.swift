/// Why a file that the policies name is of no use.
package enum FileTrouble: Sendable {
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
    /// What stands in the place of the name may be what belongs into the file.
    let isSecret: Bool
}

extension ObjectReader {
    /// The name of a file.
    func file(_ name: String, isSecret: Bool = false) -> String? {
        guard let text = string(name) else { return nil }
        guard !text.value.isEmpty, !text.value.utf8.contains(where: { $0 < 0x20 }), !text.value.hasPrefix("-----BEGIN")
        else {
            // Perhaps it is what belongs into the file.
            report.conceal(text.place)
            report.error(.badValue, "\"\(name)\" of \(owner) is no name of a file", at: text.place)
            return nil
        }
        report.named(ReferencedFile(field: name, owner: owner, path: text, isSecret: isSecret))
        return text.value
    }
}

extension DiagnosticCollector {
    /// Warns of the named files in which `trouble` finds something wrong. No error: the check may run elsewhere.
    func lintFiles(_ trouble: (_ path: String) -> FileTrouble?) {
        for file in namedFiles {
            guard let found = trouble(file.path.value) else { continue }
            if file.isSecret { conceal(file.path.place) }
            let name = file.isSecret ? "" : " \"\(file.path.value)\""
            warning(
                .unusableFile, "\"\(file.field)\" of \(file.owner): the file\(name) \(found.text)", at: file.path.place,
                help: ["the gateway does not start without it; files are relative to the policy folder unless absolute"]
            )
        }
    }
}
