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
        PolicySet.load(files: files, sha256: { SHA256.hash($0) }, now: Int64(Date().timeIntervalSince1970))
    }

    /// The folder and all folders in it, to be watched for changes.
    var folders: [String] {
        guard let walker = FileManager.default.enumerator(atPath: folder.path) else { return [folder.path] }
        var folders = [folder.path]
        while let name = walker.nextObject() as? String {
            let path = folder.path + "/" + name
            if folder.isFolder(path) { folders.append(path) }
        }
        return folders
    }
}
