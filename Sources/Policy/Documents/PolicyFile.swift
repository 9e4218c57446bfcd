internal import JSON

/// One file of a policy set.
package struct PolicyFile: Sendable {
    /// The name that diagnostics show, normally the path.
    package let name: String
    /// The whole file, normally UTF-8.
    package let bytes: [UInt8]
    /// Whether the file belongs to the set. A misnamed file is not read: it has no bytes here and gets a warning.
    package let isRead: Bool

    package init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
        isRead = true
    }

    /// A file that is not read, although its author may expect it.
    package init(misnamed name: String) {
        self.name = name
        bytes = []
        isRead = false
    }

    /// The kind of a file in the policy folder, by its name without folders.
    package enum Role: Sendable {
        case policy
        /// Probably meant to be a policy file.
        case misnamed
        /// Ignored, such as the files that editors keep beside a file.
        case other
    }

    /// The role of a file with this name; `name` has no folders.
    package static func role(of name: String) -> Role {
        if name.hasPrefix(".") { return .other }
        if name.hasSuffix(ending) { return .policy }
        return otherEndings.contains(where: name.lowercased().hasSuffix) ? .misnamed : .other
    }

    private static let ending = ".json5"
    /// A longer ending comes first, because the first match counts.
    private static let otherEndings = [".json5.txt", ".json5", ".jsonc", ".json", ".yaml", ".yml"]

    /// The name under which the file would be read.
    fileprivate static func readName(of name: String) -> String {
        let lowercased = name.lowercased()
        let ending = otherEndings.first(where: lowercased.hasSuffix) ?? ""
        return name.dropLast(ending.count) + Self.ending
    }
}

extension PolicyFiles {
    /// Warns of files that are not read because of their names, except files that the policies refer to.
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
                help = "\(better) exists too: move what you need to it, and remove this file"
            } else if name.lowercased().hasSuffix("ml") {
                help = "convert the file to JSON5, and rename it to \(better)"
            } else {
                help = "rename the file to \(better)"
            }
            diagnostics.warning(
                .misnamedFile, "this file is not read: the name of a policy file ends in \".json5\"",
                at: SourceSpan(file: file, range: SourceRange(lowerBound: 0, upperBound: 0)), help: [help])
        }
    }
}
