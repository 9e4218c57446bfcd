internal import JSON

/// One file of a policy set.
package struct PolicyFile: Sendable {
    /// The name that diagnostics show, as a rule the path.
    package let name: String
    /// The whole file, UTF-8 as a rule.
    package let bytes: [UInt8]
    /// Whether it is part of the set. A file that only looks like a part has no bytes here, and gets a warning.
    package let isRead: Bool

    package init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
        isRead = true
    }

    /// A file that is not read, although its author may think so.
    package init(misnamed name: String) {
        self.name = name
        bytes = []
        isRead = false
    }

    /// What a file in the policy folder is, judged by its name without folders.
    package enum Role: Sendable {
        case policy
        /// It was probably meant to be one.
        case misnamed
        /// None of the gateway's business, such as what editors keep beside a file.
        case other
    }

    /// By its name alone, without its folder.
    package static func role(of name: String) -> Role {
        if name.hasPrefix(".") { return .other }
        if name.hasSuffix(ending) { return .policy }
        return otherEndings.contains(where: name.lowercased().hasSuffix) ? .misnamed : .other
    }

    private static let ending = ".json5"
    /// The longest of those that a name can have comes first.
    private static let otherEndings = [".json5.txt", ".json5", ".jsonc", ".json", ".yaml", ".yml"]

    /// The name under which it would be read.
    fileprivate static func readName(of name: String) -> String {
        let lowercased = name.lowercased()
        let ending = otherEndings.first(where: lowercased.hasSuffix) ?? ""
        return name.dropLast(ending.count) + Self.ending
    }
}

extension PolicyFiles {
    /// Warns of the files that are not read because of their names, but for those that the policies themselves name.
    func lintNames() {
        for file in misnamedFiles {
            let name = diagnostics.name(of: file)
            guard
                !diagnostics.referencedFiles.contains(where: {
                    name == $0.path.value || name.hasSuffix("/" + $0.path.value)
                })
            else { continue }
            let better = PolicyFile.readName(of: name)
            let help: String
            if diagnostics.hasFile(named: better) {
                help = "\(better) exists as well: move what you need into it, and remove this file"
            } else if name.lowercased().hasSuffix("ml") {
                help = "policy files are JSON5: rewrite it as JSON5 and call it \(better)"
            } else {
                help = "rename it to \(better)"
            }
            diagnostics.warning(
                .misnamedFile, "this file is not read: policy files have names that end in \".json5\"",
                at: SourceSpan(file: file, range: SourceRange(lowerBound: 0, upperBound: 0)), help: [help])
        }
    }
}
