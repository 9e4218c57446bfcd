import Policy
import Testing

@testable import Gateway

@Suite("Leases in the journal")
struct LeaseJournalRecordTests {
    private func read(_ text: String) -> LeaseJournalRecord? {
        guard case .held(let entry) = LeaseChange(Array(text.utf8).span) else { return nil }
        return entry
    }

    private func written(_ entry: LeaseJournalRecord) -> (text: String, entry: LeaseJournalRecord?) {
        let text = String(decoding: LeaseChange.held(entry).record(), as: UTF8.self)
        return (text, read(text))
    }

    @Test("LeaseJournalRecord: the origin of the request and its timeout are read back")
    func origin() throws {
        for origin in [
            LeaseOrigin(pathStart: "/v1/organizations/", responseTimeout: .seconds(75), mayRestart: true),
            LeaseOrigin(pathStart: "", responseTimeout: .milliseconds(1)),
            LeaseOrigin(pathStart: "/\u{e9}\"", responseTimeout: .zero),
            LeaseOrigin(pathStart: "/", responseTimeout: nil),
        ] {
            let entry = LeaseJournalRecord(
                serial: 7, key: LeaseKey(organization: "o", connection: "c"), kind: "sync", family: .airweave, since: 5,
                job: LeaseJob(id: "j", type: "sync", status: "running"), origin: origin)
            #expect(written(entry).entry == entry)
        }
    }

    @Test("LeaseJournalRecord: a guess, that there was one, and the times of the job are read back")
    func guess() {
        for (isGuess, hadGuess) in [(false, false), (false, true), (true, true)] {
            let entry = LeaseJournalRecord(
                serial: 7, key: LeaseKey(organization: "o", connection: "c"), kind: "sync", family: .airweave, since: 5,
                job: LeaseJob(id: "j", type: "sync", status: "running", startedAt: 4, createdAt: 3), isGuess: isGuess,
                hadGuess: hadGuess)
            #expect(written(entry).entry == entry)
        }
        let older = read(
            #"{"lease":3,"organization":"o","connection":"c","kind":"sync","family":"other","since":9,"guess":true}"#)
        #expect(older?.hadGuess == true)
    }

    @Test("LeaseJournalRecord: a part of a millisecond is not lost: a lease that is held too long does no harm")
    func rounding() throws {
        let entry = LeaseJournalRecord(
            serial: 7, key: LeaseKey(organization: "o", connection: "c"), kind: "sync", family: .other, since: 5,
            job: nil,
            origin: LeaseOrigin(responseTimeout: .nanoseconds(1_000_001)))
        #expect(written(entry).entry?.origin.responseTimeout == .milliseconds(2))
    }

    @Test("LeaseJournalRecord: what an older gateway wrote is read, without them")
    func older() {
        let entry = read(
            #"{"lease":3,"organization":"o","connection":"c","kind":"sync","family":"airweave","since":9}"#)
        #expect(entry?.serial == 3 && entry?.origin == LeaseOrigin() && entry?.traceID == nil && entry?.job == nil)
    }

    @Test(
        "LeaseJournalRecord: an implausible timeout is read as unknown, zero or a day",
        arguments: [("-1", 0), ("\"75s\"", nil), ("1e99", nil), ("9223372036854775807", 86400), ("1000", 1)])
    func damaged(responseTimeout: String, seconds: Int?) {
        let entry = read(
            #"{"lease":3,"organization":"o","connection":"c","kind":"sync","since":9,"path":7,"patience":\#(responseTimeout)}"#
        )
        #expect(entry?.origin == LeaseOrigin(responseTimeout: seconds.map { .seconds($0) }))
    }
}
