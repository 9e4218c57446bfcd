import Foundation
import TestSupport

extension TestGateway {
    /// The answer that `curl` gets, interim answers left out.
    func curl(_ path: String, _ options: String..., token: TestPolicies.Token? = .full) throws -> Answer {
        var arguments = [
            "-sS", "-i", "-m", "20", "--http1.1", "--cacert", folder.authorityFile, "https://localhost:\(port)\(path)",
        ]
        if let token { arguments += ["-H", "Authorization: Bearer \(token.text)"] }
        let outcome = try Tool.run("curl", arguments + options)
        guard outcome.status == 0 else { throw TLSClient.Broken(reason: outcome.complaints) }
        var rest = outcome.text[...]
        while let end = rest.range(of: "\r\n\r\n") {
            var answer = try Answer(head: String(rest[..<end.lowerBound]))
            rest = rest[end.upperBound...]
            if answer.status < 200 { continue }
            answer.body = Array(rest.utf8)
            return answer
        }
        throw TLSClient.Broken(reason: "no answer: \(outcome.text)")
    }

    /// `curl` with a JSON body.
    func curl(
        _ method: String, _ path: String, json: String, token: TestPolicies.Token? = .full
    ) throws -> Answer {
        try curl(path, "-X", method, "-H", "Content-Type: application/json", "-d", json, token: token)
    }
}
