import Foundation
import JSON
import Synchronization
import Testing

@testable import Connectors

/// A service over a directory of its own, as fast as it can go, and the words to talk to it.
final class Bench: Sendable {
    static let organization = "org_xyz789"
    static let prefix = "/v1/organizations/org_xyz789/knowledge/connectors"

    let directory: String
    let service: ConnectorService
    private let ended = EndedJobs()

    /// What ended so far, and who waits for the next.
    final class EndedJobs: Sendable {
        let events = Mutex<[JobEvent]>([])
    }

    /// A new directory for one test.
    static func newDirectory() -> String {
        let path = "\(NSTemporaryDirectory())/connectors-\(UUID().uuidString)"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    static func options(_ directory: String) -> ConnectorOptions {
        var options = ConnectorOptions(stateDirectory: directory)
        options.rowsPerSecond = 100_000_000
        options.minimumJobMilliseconds = 0
        options.warn = { _ in }
        return options
    }

    init(_ options: ConnectorOptions) throws {
        directory = options.stateDirectory
        service = try ConnectorService.start(options)
        service.onJobEvent { [ended] event in ended.events.withLock { $0.append(event) } }
    }

    convenience init(_ change: (inout ConnectorOptions) -> Void = { _ in }) throws {
        var options = Self.options(Self.newDirectory())
        change(&options)
        try self.init(options)
    }

    var events: [JobEvent] { ended.events.withLock { $0 } }

    func remove() { try? FileManager.default.removeItem(atPath: directory) }

    func send(
        _ method: String, _ target: String, _ body: String = "", organization: String = Bench.organization
    ) async -> Answer {
        let request = ConnectorRequest(
            method: method, target: Array(target.utf8), organization: organization, body: Array(body.utf8),
            traceID: "0af7651916cd43dd8448eb211c80319c")
        return Answer(await service.perform(request))
    }

    func trigger(_ connection: String = "conn_abc123", _ type: String = "sync") async -> Answer {
        await send("POST", "\(Self.prefix)/jobs", #"{"connection_id":"\#(connection)","job_type":"\#(type)"}"#)
    }

    /// Waits until the job has ended and returns it.
    func end(of id: String, organization: String = Bench.organization) async throws -> Answer {
        let deadline = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < deadline {
            let job = await send(
                "GET", "/v1/organizations/\(organization)/knowledge/connectors/jobs/\(id)", organization: organization)
            if let status = job["status"]?.string, ["succeeded", "failed", "cancelled"].contains(status) { return job }
            try await Task.sleep(for: .milliseconds(2))
        }
        throw Late(what: "the end of \(id)")
    }

    /// Triggers a sync and waits for its end.
    func sync(_ connection: String = "conn_abc123") async throws -> Answer {
        let answer = await trigger(connection)
        return try await end(of: try #require(answer["job_id"]?.string, "\(answer.text)"))
    }

    /// The lines of a destination file.
    func rows(_ stream: String, _ connection: String = "org_xyz789/conn_abc123") -> [String] {
        lines("\(directory)/connectors/destinations/\(connection)/\(stream).ndjson")
    }

    func source(_ stream: String, _ connection: String = "conn_abc123") -> [String] {
        lines("\(directory)/connectors/sources/\(connection)/\(stream).ndjson")
    }

    func lines(_ path: String) -> [String] {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }
}

struct Late: Error { let what: String }

/// An answer with its body read.
struct Answer {
    let status: Int
    let headers: [String: String]
    let body: [UInt8]
    let startedJob: JobReference?
    let value: JSONValue?

    init(_ response: ConnectorResponse) {
        status = response.status
        headers = Dictionary(response.headers, uniquingKeysWith: { first, _ in first })
        body = response.body
        startedJob = response.startedJob
        value = try? JSONValue.read(response.body.span)
    }

    var text: String { String(decoding: body, as: UTF8.self) }

    subscript(_ name: String) -> JSONValue? { value?[name] }

    var error: JSONValue? { value?["error"] }
    var code: String? { error?["code"]?.string }
    var field: String? { error?["details"]?["field"]?.string }
}
