import Connectors
import Crypto
import Foundation
import Policy

/// Where a running gateway reads its policies: the folder, and the file with the demo token in the state folder.
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

    /// Reads until two readings agree, so that files which are being written are not taken for finished ones.
    func readSettled() throws(PolicyFolder.Unreadable) -> [PolicyFile] {
        var last = try read()
        for _ in 0..<50 {
            Thread.sleep(forTimeInterval: 0.02)
            let next = try read()
            if next.map(\.name) == last.map(\.name), next.map(\.bytes) == last.map(\.bytes) { return next }
            last = next
        }
        throw PolicyFolder.Unreadable(message: "\(folder.path): its files change all the time; nothing was loaded")
    }

    static func load(_ files: [PolicyFile]) -> PolicyLoad {
        PolicySet.load(
            files: files, sha256: { SHA256.hash($0) }, now: Int64(Date().timeIntervalSince1970),
            servicePaths: ConnectorRoute.paths)
    }

    /// The folder and all folders in it that policies are read from, to be watched for changes.
    var folders: [String] {
        var folders = [folder.path]
        var next = 0
        // Links are followed, so there may be circles; `PolicyFolder` refuses those.
        while next < folders.count, folders.count < 10_000 {
            let path = folders[next]
            next += 1
            guard path.split(separator: "/").count < folder.path.split(separator: "/").count + 16 else { continue }
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            folders += names.filter { !$0.hasPrefix(".") }.map { "\(path)/\($0)" }.filter(folder.isFolder)
        }
        return folders
    }

    /// What tells a folder from another one that takes its place under the same name.
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
