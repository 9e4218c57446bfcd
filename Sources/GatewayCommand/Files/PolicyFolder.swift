internal import Foundation
internal import Policy

/// A folder of policy files.
struct PolicyFolder {
    let path: String

    /// A folder or file cannot be read. The message is one line, with the remedy.
    struct Unreadable: Error {
        let message: String
    }

    /// All `*.json5` files below the folder, sorted by path, and the names of files that probably should have this
    /// ending. Names that begin with a dot are left out: editors and configuration mounts use them for files of their
    /// own.
    func files() throws(Unreadable) -> [PolicyFile] {
        var files: [PolicyFile] = []
        try collect(path, depth: 0, into: &files)
        return files.sorted { $0.name < $1.name }
    }

    private func collect(_ folder: String, depth: Int, into files: inout [PolicyFile]) throws(Unreadable) {
        guard depth < 16 else {
            throw Unreadable(
                message: "\(folder): more than 16 folders are nested; remove links that lead back to a folder above")
        }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            throw Unreadable(
                message: "\(folder): this policy folder cannot be read; check that it exists, and check its permissions"
            )
        }
        for name in names where !name.hasPrefix(".") {
            let path = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
            if isFolder(path) {
                try collect(path, depth: depth + 1, into: &files)
                continue
            }
            switch PolicyFile.role(of: name) {
            case .policy:
                guard let data = FileManager.default.contents(atPath: path) else {
                    throw Unreadable(message: "\(path): this policy file cannot be read; check its permissions")
                }
                files.append(PolicyFile(name: path, bytes: Array(data)))
            case .misnamed: files.append(PolicyFile(misnamed: path))
            case .other: break
            }
        }
    }

    /// The path of a file that a policy in `folder` names.
    static func resolve(_ file: String, in folder: String) -> String {
        file.hasPrefix("/") ? file : folder + "/" + file
    }

    /// The problem of a file that a policy of this folder names; `nil` if the file can be read on this machine.
    func problem(with file: String) -> FileProblem? {
        let path = PolicyFolder.resolve(file, in: path)
        guard FileManager.default.fileExists(atPath: path) else { return .absent }
        if isFolder(path) { return .isFolder }
        return FileManager.default.isReadableFile(atPath: path) ? nil : .unreadable
    }

    /// Follows links: mounted configuration often consists of them.
    func isFolder(_ path: String) -> Bool {
        let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let type = try? FileManager.default.attributesOfItem(atPath: target)[.type] as? FileAttributeType
        return type == .typeDirectory
    }
}
