import Crypto
import Foundation
import Glibc
import HTTP
import JSON
import TestSupport
import Testing

@testable import Gateway
@testable import Policy
@testable import Transport

/// One worker behind a plain socket: the pipeline from the bytes of a request to those of its answer, over a scripted
/// upstream.
final class TestPipeline {
    let upstream = ScriptedUpstream()
    let shared: SharedState
    let port: UInt16
    private let parts: Parts
    private let thread: WorkThread

    /// What lives on the loop.
    ///
    /// `@unchecked Sendable`: made before the loop runs, and then touched on its thread only.
    private final class Parts: @unchecked Sendable {
        let loop: EventLoop
        let worker: Worker
        let listener: Listener

        init(_ loop: EventLoop, _ worker: Worker, _ listener: Listener) {
            (self.loop, self.worker, self.listener) = (loop, worker, listener)
        }
    }

    /// `policy` adds limits to routes, organizations and the concurrency of one kind.
    /// `disk` stores the records of idempotency keys.
    init(policy: String = "", resends: Bool = false, disk: MemoryDisk? = nil) throws {
        let set = try TestPipeline.policies(policy, resends: resends)
        let local = SocketAddress(host: "127.0.0.1", port: 0)
        let store = PolicyStore(
            initial: set, now: { 0 }, read: { .files([]) },
            load: { PolicySet.load(files: $0, sha256: { SHA256.hash($0) }, now: 0) })
        let context = try TestPipeline.context.get()
        let shared = try SharedState(
            GatewayOptions(
                listen: [local], admin: nil, workers: 1, upstream: .inProcess(upstream), idempotency: disk,
                policies: store, context: context,
                log: AccessLogQueue()))
        upstream.observeJobs { shared.leases.jobObserved($0.key, $0.job, now: WallClock.system.moment) }
        let loop = try EventLoop(index: 0)
        let worker = Worker(
            loop: loop, shared: shared, policies: set, limitTexts: RateLimitTexts(set.limitRules), context: context)
        let socket = try Socket.listening(on: local, sharingPort: false)
        port = socket.localPort
        let listener = try Listener(
            loop: loop, socket: socket, settings: { Listener.Settings() }, context: { nil })
        let parts = Parts(loop, worker, listener)
        Task(executorPreference: loop) {
            await parts.listener.accept { HTTP1Server(parts.worker.pipeline) }
        }
        self.shared = shared
        self.parts = parts
        thread = WorkThread(name: "pipeline") { loop.run() }
    }

    deinit {
        let loop = parts.loop
        loop.perform { loop.stop() }
        thread.join()
    }

    /// Asks the upstream what runs, as the gateway does every second while an answer is lost.
    func reconcile() async throws {
        try await shared.leases.reconcile(with: upstream, now: .system)
    }

    /// A worker whose loop does not run, for what needs no connection.
    static func idleWorker() throws -> Worker {
        let set = try policies("")
        let context = try context.get()
        let store = PolicyStore(initial: set, now: { 0 }, read: { .files([]) }, load: { _ in .refused([]) })
        let options = GatewayOptions(
            listen: [], admin: nil, workers: 1, upstream: .inProcess(ScriptedUpstream()), policies: store,
            context: context,
            log: AccessLogQueue())
        return Worker(
            loop: try EventLoop(index: 0), shared: try SharedState(options), policies: set,
            limitTexts: RateLimitTexts(set.limitRules), context: context)
    }

    /// The policies as a worker has them, without the worker.
    static func compiledPolicies(_ more: String = "") throws -> WorkerPolicies {
        let set = try policies(more)
        return WorkerPolicies(
            set, limitTexts: RateLimitTexts(set.limitRules), counts: Metrics(workerCount: 1)[worker: 0])
    }

    /// Two organizations with a token each; one with a token that has expired.
    static func policies(_ more: String, resends: Bool = false) throws -> PolicySet {
        func hash(_ token: String) -> String {
            SHA256.hash(Array(token.utf8).span).map { String(format: "%02x", $0) }.joined()
        }
        let all = #"["connectors:read", "connectors:write", "connectors:run"]"#
        let organizations = """
            {
              organizations: {
                org_a: {
                  tokens: {
                    one: { sha256: "\(hash("token-a"))", scopes: \(all) },
                    old: { sha256: "\(hash("token-old"))", scopes: \(all), expires: "2024-01-01T00:00:00Z" },
                  },
                },
                org_b: { tokens: { two: { sha256: "\(hash("token-b"))", scopes: \(all) } } },
              },
              \(more)
            }
            """
        var files = [PolicyFile(name: "organizations.json5", bytes: Array(organizations.utf8))]
        let folder = repository.appending(path: "policies")
        for name in ["routes.json5", "concurrency.json5"] {
            let text = String(decoding: try Data(contentsOf: folder.appending(path: name)), as: UTF8.self)
            // Most tests send one request twice to see a conflict.
            let conflicting = resends ? text : text.replacing(/lease: "\w+",/) { "\($0.output) resendWindow: \"0s\"," }
            files.append(PolicyFile(name: name, bytes: Array(conflicting.utf8)))
        }
        // Every class of a route must be known to a limit.
        let limit = #"{ limits: { all: { on: "*", per: "token", allow: "100000/s", mode: "observe" } } }"#
        if !more.contains("limits:") { files.append(PolicyFile(name: "limits.json5", bytes: Array(limit.utf8))) }
        switch PolicySet.load(files: files, sha256: { SHA256.hash($0) }, now: 0) {
        case .loaded(let set, _): return set
        case .refused(let diagnostics):
            throw Unusable(reason: diagnostics.map(\.rendered).joined(separator: "\n"))
        }
    }

    struct Unusable: Error {
        let reason: String
    }

    /// A worker wants a certificate, which plain connections do not use.
    private static let context = Result { try LocalCertificateFiles().context }
}

/// A plain connection to a test's pipeline.
final class PlainClient {
    private let socket: PlainSocket

    init(_ pipeline: TestPipeline) throws { socket = try PlainSocket(port: pipeline.port) }

    func send(_ bytes: [UInt8]) { try? socket.send(bytes) }

    /// Sends a request; `fields` are whole lines.
    func send(
        _ method: String, _ path: String, _ fields: [String] = ["Authorization: Bearer token-a"], body: [UInt8]? = nil
    ) {
        var lines = ["\(method) \(path) HTTP/1.1", "Host: a"] + fields
        if let body { lines.append("Content-Length: \(body.count)") }
        send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + (body ?? []))
    }

    struct Answer {
        let status: Int
        let head: String
        let body: [UInt8]

        /// The values of all fields of this name, in lower case.
        func fields(_ name: String) -> [String] {
            head.split(separator: "\r\n").dropFirst().compactMap { line in
                let parts = line.split(separator: ":", maxSplits: 1)
                return parts[0].lowercased() == name ? parts[1].trimmingCharacters(in: .whitespaces) : nil
            }
        }

        var text: String { String(decoding: body, as: UTF8.self) }
        var error: JSONValue? { (try? JSONValue.read(body.span))?["error"] }
        var code: String? { error?["code"]?.string }
        var activeJob: JSONValue? { error?["details"]?["active_job"] }
    }

    func answer() throws -> Answer {
        var received: [UInt8] = []
        while true {
            let text = String(decoding: received, as: UTF8.self)
            if let end = text.range(of: "\r\n\r\n") {
                let head = String(text[..<end.lowerBound])
                let status = Int(head.split(separator: " ")[1]) ?? 0
                let answer = Answer(status: status, head: head, body: [])
                let length = answer.fields("content-length").first.flatMap(Int.init) ?? 0
                let start = head.utf8.count + 4
                if received.count >= start + length {
                    return Answer(status: status, head: head, body: Array(received[start...]))
                }
            }
            let isOpen = try socket.receive(into: &received)
            try #require(isOpen, "no answer came: \(text)")
        }
    }

    func call(
        _ method: String, _ path: String, _ fields: [String] = ["Authorization: Bearer token-a"], body: String? = nil
    ) throws -> Answer {
        send(method, path, fields, body: body.map { Array($0.utf8) })
        return try answer()
    }

    /// Triggers a sync of the usual connection.
    func trigger() throws -> Answer {
        try call("POST", Self.jobs, body: #"{"connection_id":"conn_1","job_type":"sync"}"#)
    }

    static let base = "/v1/organizations/org_a/knowledge/connectors"
    static let jobs = base + "/jobs"
}
