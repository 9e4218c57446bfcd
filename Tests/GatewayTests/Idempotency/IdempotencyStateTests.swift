import Testing

@testable import Gateway

@Suite("State of an idempotency record")
struct IdempotencyStateTests {
    private static let response = StoredResponse(status: 200, contentType: "application/json", body: [1])
    private static let job = LeaseJob(id: "j", type: "sync", status: "running")

    private static let states: [(name: String, state: IdempotencyState)] = [
        ("started", .started), ("uncertain", .uncertain), ("resolved", .resolved(job)),
        ("completed", .completed(response)),
        ("completed without a body", .completed(response.withoutBody)),
    ]

    private static let events: [(name: String, event: IdempotencyState.Event)] = [
        ("responded", .responded(response)), ("foundNothing", .foundNothing), ("lost", .lost),
        ("foundJob", .foundJob(job)),
    ]

    /// The transitions of the code, as the article has them: state, event, next state.
    private static var transitions: Set<[String]> {
        var found: Set<[String]> = []
        for (name, state) in states {
            for (event, value) in events {
                switch state.after(value) {
                case .unchanged: break
                case .removed: found.insert([name, event, "none"])
                case .state(let next): found.insert([name, event, next.phase.rawValue])
                }
            }
        }
        return found
    }

    @Test("IdempotencyState: the article has each transition, and the code each that the article has")
    func article() throws {
        let rows = try Article("Architecture").rows(below: "A record of an idempotency key").map { row in
            row.map { $0.filter { $0 != "`" } }
        }
        #expect(Set(rows.map { Array($0.prefix(3)) }) == Self.transitions)
        #expect(rows.count == Self.transitions.count)
        #expect(Set(Self.events.map(\.name)) == Set(IdempotencyState.Event.Name.allCases.map(\.rawValue)))
        #expect(Set(Self.states.map { $0.state.phase }) == Set(IdempotencyState.Phase.allCases))
    }

    @Test("IdempotencyState: only proof that nothing was done opens a record again")
    func removal() {
        for (name, state) in Self.states {
            for (event, value) in Self.events where state.after(value) == .removed {
                #expect(event == "foundNothing" && ["started", "uncertain"].contains(name))
            }
        }
    }

    @Test("StoredResponse: what an upstream's status says of the request")
    func statuses() {
        for status in [200, 201, 202, 204, 400, 404, 410, 413, 415, 422] {
            #expect(
                StoredResponse.event(upstream: status, isTurnedAway: false, Self.with(status))
                    == .responded(Self.with(status)))
        }
        for status in [401, 403, 407, 409, 421, 423, 425, 429] {
            #expect(StoredResponse.event(upstream: status, isTurnedAway: false, Self.with(status)) == .foundNothing)
        }
        for status in [303, 408, 460, 499, 500, 502, 503, 504] {
            #expect(
                StoredResponse.event(upstream: status, isTurnedAway: false, Self.with(status)) == .lost, "\(status)")
        }
        #expect(StoredResponse.event(upstream: 503, isTurnedAway: true, Self.with(503)) == .foundNothing)
        // An error rule has changed the status for the client: the request may not be told the same for a day.
        #expect(StoredResponse.event(upstream: 400, isTurnedAway: false, Self.with(409)) == .foundNothing)
        #expect(StoredResponse.event(upstream: 404, isTurnedAway: false, Self.with(502)) == .foundNothing)
        #expect(StoredResponse.event(upstream: 200, isTurnedAway: false, nil) == .lost)
    }

    private static func with(_ status: Int) -> StoredResponse {
        StoredResponse(status: status, contentType: "application/json", body: [])
    }

    @Test("StoredResponse: fields of the transfer, of limits and of sessions are not kept")
    func fields() {
        for name in [
            "Date", "Set-Cookie", "RateLimit", "X-RateLimit-Reset", "x-trace-id", "Content-Length", "ratelimit-policy",
        ] {
            #expect(!StoredResponse.isKept(name), "\(name)")
        }
        for name in ["Location", "ETag", "Content-Encoding", "X-Request-ID", "Retry-After"] {
            #expect(StoredResponse.isKept(name), "\(name)")
        }
    }
}
