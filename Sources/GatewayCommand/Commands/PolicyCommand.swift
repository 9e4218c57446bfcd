internal import Crypto
internal import Foundation
internal import Policy

/// `gateway policy check [DIR]`.
enum PolicyCommand {
    static let usage = """
        usage: gateway policy check [DIR]

        Checks all *.json5 files below DIR (default: policies), and prints all errors and warnings with their positions.
        Needs no network and no secrets: a missing certificate or secret is a warning.
        Exit code: 0 if the policies are valid, 1 if they are not, 2 if the command line is wrong.

        """

    /// Runs the command with the words after `policy`, and returns the exit code.
    static func run(arguments: [String]) -> Int32 {
        var words = arguments
        if words.contains("--help") || words.contains("-h") {
            print(usage, terminator: "")
            return 0
        }
        guard words.first == "check" else {
            let word =
                words.first.map { "there is no \"gateway policy \($0)\"" } ?? "\"gateway policy\" needs a command"
            report("gateway: \(word)\n\n\(usage)")
            return 2
        }
        words.removeFirst()
        if let word = words.first(where: { $0.hasPrefix("-") }) ?? words.dropFirst().first {
            report("gateway: unexpected argument \"\(word)\"\n\n\(usage)")
            return 2
        }
        return check(folder: words.first ?? "policies")
    }

    private static func check(folder: String) -> Int32 {
        let files: [PolicyFile]
        let source = PolicyFolder(path: folder)
        do {
            files = try source.files()
        } catch {
            report("gateway: \(error.message)\n")
            return 1
        }
        let load = PolicySet.load(
            files: files, sha256: { SHA256.hash($0) }, now: Int64(Date().timeIntervalSince1970),
            problem: source.problem)
        let check = PolicyCheck(load, folder: folder, fileCount: files.count(where: \.isRead))
        report(check.findings.isEmpty ? "" : check.findings + "\n")
        print(check.summary)
        return check.exitCode
    }

    private static func report(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
}
