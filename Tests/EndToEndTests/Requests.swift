import JSON
import TestSupport
import Testing

/// The paths of the seed documents.
enum Path {
    static let base = "/v1/organizations/\(TestPolicies.organization)/knowledge/connectors"
    static let jobs = base + "/jobs"
    static let state = connection("state")
    static let refresh = connection("refresh")
    static let clear = connection("clear")
    static let run = "/v1/source-connections/\(TestConnections.sourceConnection)/run"

    static func connection(_ what: String) -> String { "\(base)/connections/\(TestConnections.connection)/\(what)" }
}

/// A request as bytes.
func request(
    _ method: String, _ path: String, _ fields: String..., token: TestPolicies.Token? = .full, body: String? = nil,
    version: String = "HTTP/1.1"
) -> String {
    var lines = ["\(method) \(path) \(version)", "Host: localhost"] + fields
    if let token { lines.append("Authorization: Bearer \(token.text)") }
    if let body { lines.append("Content-Length: \(body.utf8.count)") }
    return lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
}

/// The body of a trigger.
func trigger(_ type: String = "sync", connection: String = TestConnections.connection) -> String {
    #"{"connection_id":"\#(connection)","job_type":"\#(type)"}"#
}

extension WireClient {
    /// Sends one request and reads its answer.
    func call(
        _ method: String, _ path: String, token: TestPolicies.Token? = .full, body: String? = nil, prefer: String? = nil
    ) throws -> Answer {
        let field = prefer.map { "Prefer: \($0)" } ?? "Accept: */*"
        try send(request(method, path, field, token: token, body: body))
        return try answer(hasBody: method != "HEAD")
    }

    /// Starts a job and gives its id.
    func startJob(_ type: String = "sync") throws -> String {
        let answer = try call("POST", Path.jobs, body: trigger(type))
        #expect(answer.status == 200, "\(answer.text)")
        return try #require(answer.json("job_id")?.string)
    }

    /// Cancels a job and waits until it has ended.
    func cancel(_ job: String) throws {
        #expect(try call("DELETE", "\(Path.jobs)/\(job)").status == 204)
        try waitForEnd(of: job)
    }

    func waitForEnd(of job: String) throws {
        try waitUntil("\(job) has ended") {
            let status = try call("GET", "\(Path.jobs)/\(job)").json("status")?.string ?? ""
            return ["succeeded", "failed", "cancelled"].contains(status)
        }
    }
}
