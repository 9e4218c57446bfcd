import Bytes
import Crypto
import Foundation
import Gateway
import Policy

/// `gateway token create`: prints a new token, and the policy entry that makes it valid.
enum TokenCommand {
    static func run(_ words: [String]) -> Int32 {
        let arguments: Arguments
        do throws(Arguments.Misuse) {
            arguments = try Arguments(words, names: ["scopes", "expires", "policies"])
        } catch { return Help.refuse(error.reason, usage: "gateway token --help") }
        if arguments.wantsHelp {
            print(Help.token)
            return 0
        }
        guard arguments.positional.first == "create", arguments.positional.count <= 2 else {
            return Help.refuse(
                "\"gateway token\" needs the command \"create\", with at most one name", usage: "gateway token --help")
        }
        let name = arguments.positional.dropFirst().first ?? "new-token"
        let words = (arguments.flags["scopes"] ?? "connectors:read,connectors:run")
            .split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
        let end = arguments.flags["expires"]
        if let mistake = mistake(name: name, scopes: words, expires: end) {
            return Help.refuse(mistake, usage: "gateway token --help")
        }
        do throws(StartupError) { try checkDeclared(words, arguments) } catch {
            return error.report(usage: "gateway token --help")
        }
        let scopes = words.map { "\"\($0)\"" }.joined(separator: ", ")
        let expires = end.map { ", expires: \"\($0)\"" } ?? ""

        let token = APIToken.fresh()
        let hash = String(hex: SHA256.hash(Array(token.utf8).span))
        print(token)
        let entry = """

            The token is above. It is printed only once, and the policies hold only its hash. Give the token to its owner,
            and paste this entry below organizations.ORGANIZATION.tokens in your policy folder:

                "\(name)": { sha256: "\(hash)", scopes: [\(scopes)]\(expires) },

            """
        FileHandle.standardError.write(Data(entry.utf8))
        return 0
    }

    /// The reason why the entry would not load; `nil` if there is none. This does not read the policies.
    private static func mistake(name: String, scopes: [String], expires: String?) -> String? {
        func consists(_ text: String, of others: String) -> Bool {
            !text.isEmpty && text.utf8.count <= 128
                && text.unicodeScalars.allSatisfy { scalar in
                    scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
                        || others.unicodeScalars.contains(scalar)
                }
        }
        guard consists(name, of: "_-.") else {
            return "a token's name has letters, digits, \"_\", \"-\" and \".\" only, not \"\(name)\""
        }
        if let word = scopes.first(where: { !consists($0, of: "_-.~:/") }) {
            return "\"\(word)\" is not a scope: a scope has letters, digits and \"_-.~:/\" only"
        }
        if let expires {
            guard let end = RFC3339.epochSeconds(expires) else {
                return
                    "--expires must be a day such as 2027-01-31 or a time such as 2027-01-31T12:00:00Z or 2027-01-31T12:00:00+01:00, not \"\(expires)\""
            }
            guard end > Int64(Date().timeIntervalSince1970) else {
                return "--expires \"\(expires)\" has passed: the token would never be valid"
            }
        }
        return nil
    }

    /// Checks that the policies declare the scopes, if there are policies.
    private static func checkDeclared(_ scopes: [String], _ arguments: Arguments) throws(StartupError) {
        let given = arguments.value("policies")
        let folder = PolicyFolder(path: given ?? "policies")
        let files: [PolicyFile]
        do throws(PolicyFolder.Unreadable) { files = try folder.files() } catch {
            guard given != nil else { return }
            throw StartupError(line: error.message)
        }
        guard case .loaded(let set, _) = PolicySource.load(files) else {
            return Help.report(
                "warning: the policies in \(folder.path) have errors, so the scopes were not checked: run gateway policy check \(folder.path)"
            )
        }
        let unknown = scopes.filter { !set.scopes.contains($0) }
        guard unknown.isEmpty else {
            let names = unknown.map { "\"\($0)\"" }.joined(separator: ", ")
            throw StartupError(
                line:
                    "the policies in \(folder.path) declare no scope \(names); they declare: \(set.scopes.sorted().joined(separator: ", "))",
                isMisuse: true)
        }
    }
}

extension APIToken {
    /// A new token.
    static func fresh() -> String {
        let random = SecureRandom.bytes(32)
        guard let text = create(random: random.span) else { preconditionFailure("a token needs 32 bytes") }
        return text
    }
}
