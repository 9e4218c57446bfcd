import Foundation

/// The flags of a command: `--name value` or `--name=value`. Each flag has an environment variable.
struct Arguments {
    private(set) var flags: [String: String] = [:]
    private(set) var positional: [String] = []
    private(set) var wantsHelp = false
    private let variables: String

    /// The words are not a valid command line. `reason` says why.
    struct Misuse: Error {
        let reason: String
    }

    /// `names` are the names of the flags, without the dashes. `variables` is the prefix of their variables.
    init(_ words: [String], names: Set<String>, variables: String = "GATEWAY_") throws(Misuse) {
        self.variables = variables
        var index = 0
        while index < words.count {
            let word = words[index]
            index += 1
            if word == "--help" || word == "-h" {
                wantsHelp = true
                continue
            }
            guard word.hasPrefix("-") else {
                positional.append(word)
                continue
            }
            let parts = word.drop { $0 == "-" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard names.contains(name) else { throw Misuse(reason: "there is no option \(word)") }
            if parts.count == 2 {
                flags[name] = String(parts[1])
            } else {
                guard index < words.count else { throw Misuse(reason: "\(word) needs a value") }
                flags[name] = words[index]
                index += 1
            }
            if flags[name]?.isEmpty == true { throw Misuse(reason: "--\(name) needs a value") }
        }
    }

    /// The value of the flag or else of its variable: `--listen` or `GATEWAY_LISTEN`.
    func value(_ name: String) -> String? {
        if let flag = flags[name] { return flag }
        let text = ProcessInfo.processInfo.environment[variables + name.uppercased()]
        return text?.isEmpty == true ? nil : text
    }
}
