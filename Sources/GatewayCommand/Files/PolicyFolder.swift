internal import Foundation
internal import Policy

/// A folder of policy files.
struct PolicyFolder {
    let path: String

    /// Why a folder could not be read: one line with the remedy.
    struct Unreadable: Error {
        let message: String
    }

    /// Every `*.json5` below the folder, sorted by path, and the names of those that look as if they should be one. Names that
    /// start with a dot are left out: editors and configuration mounts keep their own files there.
    func files() throws(Unreadable) -> [PolicyFile] {
        var files: [PolicyFile] = []
        try collect(path, depth: 0, into: &files)
        return files.sorted { $0.name < $1.name }
    }

    private func collect(_ folder: String, depth: Int, into files: inout [PolicyFile]) throws(Unreadable) {
        guard depth < 16 else {
            throw Unreadable(message: "\(folder): folders are nested too deep; is there a link to a folder above?")
        }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            throw Unreadable(
                message: "\(folder): this policy folder cannot be read; check that it exists and may be opened")
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

    /// Where a file is that a policy of `folder` names.
    static func resolve(_ file: String, in folder: String) -> String {
        file.hasPrefix("/") ? file : folder + "/" + file
    }

    /// Why a file that a policy of this folder names cannot be used on this machine, if that is so.
    func problem(with file: String) -> FileProblem? {
        let path = PolicyFolder.resolve(file, in: path)
        guard FileManager.default.fileExists(atPath: path) else { return .absent }
        if isFolder(path) { return .isFolder }
        return FileManager.default.isReadableFile(atPath: path) ? nil : .unreadable
    }

    /// Links are followed: mounted configuration often consists of them.
    func isFolder(_ path: String) -> Bool {
        let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let type = try? FileManager.default.attributesOfItem(atPath: target)[.type] as? FileAttributeType
        return type == .typeDirectory
    }
}
