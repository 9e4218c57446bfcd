import Connectors
import Crypto
import Foundation
import Policy

/// The files with policies: the policy folder, and the file with the demo token in the state folder.
struct PolicySource: Sendable {
    let folder: PolicyFolder
    let demoTokenFile: String

    func read() throws(PolicyFolder.Unreadable) -> [PolicyFile] {
        var files = try folder.files()
        if let data = FileManager.default.contents(atPath: demoTokenFile) {
            files.append(PolicyFile(name: demoTokenFile, bytes: Array(data)))
        }
        return files
    }

    /// Reads again until two readings are equal. A file that is still being written is not loaded.
    func readSettled() throws(PolicyFolder.Unreadable) -> [PolicyFile] {
        var last = try read()
        for _ in 0..<50 {
            Thread.sleep(forTimeInterval: 0.02)
            let next = try read()
            if next.map(\.name) == last.map(\.name), next.map(\.bytes) == last.map(\.bytes) { return next }
            last = next
        }
        throw PolicyFolder.Unreadable(
            message:
                "\(folder.path): the files in this policy folder kept changing for a second, and were not loaded; reload when they are complete"
        )
    }

    static func load(_ files: [PolicyFile]) -> PolicyLoad {
        PolicySet.load(
            files: files, sha256: { SHA256.hash($0) }, now: Int64(Date().timeIntervalSince1970),
            servicePaths: ConnectorRoute.paths)
    }

    /// The policy folder and all folders below it. The gateway watches them for changes.
    var folders: [String] {
        var folders = [folder.path]
        var next = 0
        // Links can make a cycle. `PolicyFolder` refuses it; here the number and the depth of folders are limited.
        while next < folders.count, folders.count < 10_000 {
            let path = folders[next]
            next += 1
            guard path.split(separator: "/").count < folder.path.split(separator: "/").count + 16 else { continue }
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            folders += names.filter { !$0.hasPrefix(".") }.map { "\(path)/\($0)" }.filter(folder.isFolder)
        }
        return folders
    }

    /// The identity of each folder: the target of links, and the file number. A folder that replaces another has
    /// another identity.
    func identities(of folders: [String]) -> [String: String] {
        var identities: [String: String] = [:]
        for folder in folders {
            let target = URL(fileURLWithPath: folder).resolvingSymlinksInPath().path
            let attributes = try? FileManager.default.attributesOfItem(atPath: target)
            let number = attributes?[.systemFileNumber].map { "\($0)" } ?? "absent"
            identities[folder] = "\(target) \(number)"
        }
        return identities
    }
}
