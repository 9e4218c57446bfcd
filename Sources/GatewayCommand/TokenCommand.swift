import Crypto
import Foundation
import Gateway

/// `gateway token create`: a new token, and the entry that makes it valid.
enum TokenCommand {
    static func run(_ words: [String]) -> Int32 {
        let arguments: Arguments
        do throws(Arguments.Misuse) {
            arguments = try Arguments(words, names: ["scopes", "expires"])
        } catch { return Help.refuse(error.reason, usage: "gateway token --help") }
        if arguments.wantsHelp {
            print(Help.token)
            return 0
        }
        guard arguments.positional.first == "create", arguments.positional.count <= 2 else {
            return Help.refuse("what to do with tokens: create", usage: "gateway token --help")
        }
        let name = arguments.positional.dropFirst().first ?? "new-token"
        let scopes = (arguments.flags["scopes"] ?? "connectors:read,connectors:run").split(separator: ",")
            .map { "\"\($0.trimmingCharacters(in: .whitespaces))\"" }.joined(separator: ", ")
        let expires = arguments.flags["expires"].map { ", expires: \"\($0)\"" } ?? ""

        let token = TokenText.fresh()
        let hash = SHA256.hash(Array(token.utf8).span).map { String(format: "%02x", $0) }.joined()
        print(token)
        let entry = """

            The token is above, once; only its hash is kept. Give it to its owner, and paste this entry below
            organizations.ORGANIZATION.tokens in your policy folder:

                "\(name)": { sha256: "\(hash)", scopes: [\(scopes)]\(expires) },

            """
        FileHandle.standardError.write(Data(entry.utf8))
        return 0
    }
}

extension TokenText {
    /// A new token.
    static func fresh() -> String {
        let random = SecureRandom.bytes(32)
        guard let text = create(random: random.span) else { preconditionFailure("a token is made of 32 bytes") }
        return text
    }
}
