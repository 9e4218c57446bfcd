import Synchronization
import Testing
import Transport

@testable import Gateway

private let second: UInt64 = 1_000_000_000
private let start: UInt64 = 1_000 * second

@Suite("Confirmations")
struct ConfirmationsTests {
    private static let request = ConfirmedRequest(
        subject: "org_a/ci", organization: "org_a", route: "connections.clear", connection: "conn_1",
        fingerprint: RequestFingerprint(high: 1, low: 2))

    private func check(
        _ text: String, by confirmations: Confirmations, for request: ConfirmedRequest = request, now: UInt64 = start
    ) -> ConfirmationError? {
        do throws(ConfirmationError) {
            _ = try confirmations.check(Array(text.utf8).span, for: request, now: now)
            return nil
        } catch { return error }
    }

    @Test("Confirmations: one counts for its request, until it expires")
    func life() {
        let confirmations = Confirmations()
        let text = confirmations.issue(for: Self.request, now: start).text
        #expect(check(text, by: confirmations) == nil)
        #expect(check(text, by: confirmations, now: start + 300 * second - 1) == nil)
        #expect(check(text, by: confirmations, now: start + 300 * second) == .expired)
        #expect(check(text, by: Confirmations()) == .anotherGateway)
    }

    @Test("Confirmations: any difference makes it another request")
    func binding() {
        let confirmations = Confirmations()
        let text = confirmations.issue(for: Self.request, now: start).text
        let print = RequestFingerprint(high: 1, low: 2)
        func request(
            _ subject: String, _ organization: String, _ route: String, _ connection: String,
            _ fingerprint: RequestFingerprint
        ) -> ConfirmedRequest {
            ConfirmedRequest(
                subject: subject, organization: organization, route: route, connection: connection,
                fingerprint: fingerprint)
        }
        for other in [
            request("org_a/cj", "org_a", "connections.clear", "conn_1", print),
            request("org_a/ci", "org_b", "connections.clear", "conn_1", print),
            request("org_a/ci", "org_a", "connections.refresh", "conn_1", print),
            request("org_a/ci", "org_a", "connections.clear", "conn_2", print),
            request("org_a/ci", "org_a", "connections.clear", "conn_1", RequestFingerprint(high: 1, low: 3)),
            request("org_a/cio", "rg_a", "connections.clear", "conn_1", print),
        ] { #expect(check(text, by: confirmations, for: other) == .anotherRequest) }
    }

    @Test("Confirmations: one that is given back counts once more")
    func givenBack() throws {
        let confirmations = Confirmations(maximumUsed: 3)
        let token = confirmations.issue(for: Self.request, now: start)
        for _ in 0..<2 {
            #expect(confirmations.use(token, organization: 1, now: start) == .first)
            #expect(confirmations.use(token, organization: 1, now: start) == .again)
            confirmations.giveBack(token)
        }
        #expect(confirmations.use(token, organization: 1, now: start) == .first)
        confirmations.giveBack(token)
        // Each use takes room until it expires.
        #expect(confirmations.use(token, organization: 1, now: start) == .tooMany(retryAfterSeconds: 301))
        #expect(
            confirmations.use(
                confirmations.issue(for: Self.request, now: start + 300 * second), organization: 1,
                now: start + 300 * second) == .first)
    }

    @Test("Confirmations: no changed digit goes unnoticed, and no other text counts")
    func forgery() {
        let confirmations = Confirmations()
        let text = confirmations.issue(for: Self.request, now: start).text
        for index in text.indices {
            var forged = text
            forged.replaceSubrange(index...index, with: text[index] == "0" ? "1" : "0")
            #expect(check(forged, by: confirmations) != nil)
        }
        for other in ["", "x", text + "0", String(text.dropLast()), String(repeating: "g", count: 80), "\(text) "] {
            #expect(check(other, by: confirmations) == .malformed)
        }
    }

    @Test("Confirmations: of threads that use one, exactly one is the first")
    func once() {
        let confirmations = Confirmations()
        for _ in 0..<50 {
            let token = confirmations.issue(for: Self.request, now: start)
            let sum = ThreadSafeSum()
            let threads = (0..<4).map { _ in
                WorkThread(name: "confirm") {
                    if confirmations.use(token, organization: 1, now: start) == .first { sum.add(1) }
                }
            }
            for thread in threads { thread.join() }
            #expect(sum.total == 1)
        }
    }

    @Test("Confirmations: the memory of used ones is bounded, and divided by organization")
    func bounds() {
        let confirmations = Confirmations(maximumUsed: 10, maximumOfOrganization: 4)
        func use(_ organization: UInt64, at now: UInt64) -> Confirmations.Use {
            let token = confirmations.issue(for: Self.request, now: now)
            return confirmations.use(token, organization: organization, now: now)
        }
        for _ in 0..<4 { #expect(use(1, at: start) == .first) }
        #expect(use(1, at: start + 100 * second) == .tooMany(retryAfterSeconds: 201))
        for _ in 0..<4 { #expect(use(2, at: start + second) == .first) }
        for _ in 0..<2 { #expect(use(3, at: start + second) == .first) }
        #expect(use(4, at: start + second) != .first, "the whole table is full")
        // The first four have expired.
        #expect(use(4, at: start + 300 * second) == .first)
        #expect(use(1, at: start + 300 * second) == .first)
    }
}

/// A sum that threads add to.
private final class ThreadSafeSum: Sendable {
    private let sum = Mutex(0)

    var total: Int { sum.withLock { $0 } }

    func add(_ count: Int) { sum.withLock { $0 += count } }
}
