internal import Bytes
internal import HTTP
internal import JSON
internal import Policy
internal import Transport

/// The admin interface: health, readiness, policy status and metrics over plain HTTP. It has its own loop, so that it
/// responds when the workers are busy.
///
/// `@unchecked Sendable`: after `init` everything is used on its loop's thread only.
final class AdminServer: ConnectionHandler, @unchecked Sendable {
    let loop: EventLoop
    private let shared: SharedState
    private let listener: Listener

    /// Short timeouts close silent connections, so that nobody can block the probes by keeping connections open.
    init(socket: consuming Socket, shared: SharedState, limit: Int) throws(SystemError) {
        loop = try EventLoop(index: -1)
        self.shared = shared
        let settings = Listener.Settings(
            timeouts: ServerTimeouts(head: .seconds(5), idle: .seconds(5)), maximumConnections: limit)
        listener = try Listener(loop: loop, socket: socket, settings: { settings }, context: { nil })
    }

    func begin() {
        Task(executorPreference: loop) {
            await self.listener.accept { self }
        }
    }

    /// A drain leaves the admin connections open, so that the interface still responds. They close when the loop ends.
    private(set) var isStopping = false

    /// Ends the loop, whatever its clients send. Call it on the loop.
    func stop() {
        isStopping = true
        loop.stop()
    }

    func respond(on connection: inout ServerConnection) async { write(page(for: connection), to: &connection) }

    func refuse(_ reason: UnreadableRequest, on connection: inout ServerConnection) async {
        write(Page(status: 400, text: "the request is not valid HTTP\n"), to: &connection)
    }

    private struct Page {
        var status = 200
        var contentType = "text/plain; charset=utf-8"
        var body: [UInt8]

        init(status: Int = 200, text: String) {
            self.status = status
            body = Array(text.utf8)
        }

        init(status: Int = 200, json: JSONWriter) {
            self.status = status
            contentType = "application/json"
            body = json.bytes
        }
    }

    private func page(for connection: borrowing ServerConnection) -> Page {
        let head = connection.request.head
        if let refusal = refusal(connection) { return refusal }
        guard head.method == .get || head.method == .head else { return Page(status: 405, text: "use GET or HEAD\n") }
        switch connection.request.text(head.path) {
        case "/healthz": return Page(text: "ok\n")
        case "/readyz":
            return shared.drain.isAnnounced
                ? Page(status: 503, text: "draining\n") : Page(text: "ready\n")
        case "/policy": return policy()
        case "/metrics": return metrics()
        default: return Page(status: 404, text: "use /healthz, /readyz, /policy or /metrics\n")
        }
    }

    private func refusal(_ connection: borrowing ServerConnection) -> Page? {
        let head = connection.request.head
        var origins: [String] = []
        for field in head.fields where field.name == .other && field.nameRange.count == AdminAccess.origin.utf8.count {
            guard connection.request.text(field.nameRange).spells(AdminAccess.origin) else { continue }
            origins.append(connection.request.text(field.value))
        }
        let host = head.host.map { connection.request.text($0) }
        switch AdminAccess.refusal(host: host, origins: origins, names: shared.policies.current.settings.adminNames) {
        case .foreignHost?:
            return Page(status: 421, text: "use an address, localhost, or a name in gateway.adminNames as the host\n")
        case .foreignOrigin?: return Page(status: 403, text: "requests from pages of other hosts are not allowed\n")
        case nil: return nil
        }
    }

    private func policy() -> Page {
        let status = shared.policies.snapshot()
        var json = JSONWriter()
        json.beginObject()
        json.name("version")
        json.string(status.set.shortVersion)
        json.name("loaded_at")
        json.string(RFC3339.text(epochMilliseconds: Int64(status.loadedAt) * 1000))
        json.name("reloads")
        json.integer(status.reloads)
        json.name("refused_reloads")
        json.integer(status.refusals)
        AdminServer.append(status.lastRefusal, "diagnostics", to: &json)
        json.name("warnings")
        AdminServer.append(status.warnings, to: &json)
        json.name("needs_restart")
        AdminServer.append(status.needsRestart, to: &json)
        for files in ReloadedFiles.allCases {
            let reloads = status.files[files] ?? FileReloadStatus()
            json.name(files.rawValue)
            json.beginObject()
            json.name("reloads")
            json.integer(reloads.accepted)
            json.name("refused_reloads")
            json.integer(reloads.refused)
            AdminServer.append(reloads.lastRefusal, "reason", to: &json)
            json.endObject()
        }
        json.endObject()
        return Page(json: json)
    }

    private static func append(_ refusal: (at: Int64, text: String)?, _ name: String, to json: inout JSONWriter) {
        json.name("last_refused_reload")
        guard let refusal else { return json.null() }
        json.beginObject()
        json.name("at")
        json.string(RFC3339.text(epochMilliseconds: Int64(refusal.at) * 1000))
        json.name(name)
        json.string(refusal.text)
        json.endObject()
    }

    private static func append(_ texts: [String], to json: inout JSONWriter) {
        json.beginArray()
        for text in texts { json.string(text) }
        json.endArray()
    }

    private func metrics() -> Page {
        var page = Page(text: "")
        page.contentType = "text/plain; version=0.0.4; charset=utf-8"
        shared.renderMetrics(into: &page.body)
        return page
    }

    private func write(_ page: Page, to connection: inout ServerConnection) {
        connection.responseStarted()
        connection.output += HTTPStatus.line(page.status)
        connection.output += Array("Content-Type: \(page.contentType)\r\nContent-Length: \(page.body.count)\r\n".utf8)
        if page.status == 405 { connection.output += Array("Allow: GET, HEAD\r\n".utf8) }
        connection.output += Array("Cache-Control: no-store\r\n".utf8)
        if connection.state.announcesClose { connection.output += Array("Connection: close\r\n".utf8) }
        connection.output += Array("\r\n".utf8)
        if connection.request.head.method != .head { connection.output += page.body }
    }
}

extension Range<Int> {
    /// The same range with both bounds increased by `distance`.
    func offset(by distance: Int) -> Range<Int> { lowerBound + distance..<upperBound + distance }
}
