import Crypto
import Policy
import Synchronization
import Testing
import Transport

@testable import Gateway

let keyed = IdempotencyClaim(number: 1)

extension IdempotencyClaim {
    /// The claim of the key with this number; `asks` is what the request asks for.
    init(number: Int, asks: UInt64 = 0, organization: String = "org", keep: Duration = .seconds(60)) {
        self.init(
            id: IdempotencyRecordID(SHA256().digest(of: Array("\(organization) \(number)".utf8).span)),
            organization: organization, fingerprint: RequestFingerprint(high: asks, low: 0), keep: keep)
    }
}

extension StoredResponse {
    static func ok(_ body: [UInt8] = Array("{}".utf8)) -> StoredResponse {
        StoredResponse(status: 200, contentType: "application/json", fields: [Field("ETag", "\"1\"")], body: body)
    }
}

extension IdempotencyTable {
    /// A new record; `nil` if there is one, or no room.
    func opened(_ claim: IdempotencyClaim = keyed, now: Moment = 0) -> OpenRecord? {
        if case .opened(let record) = open(claim, now: now) { record } else { nil }
    }

    /// What the record of a claim says, in one word.
    func word(_ claim: IdempotencyClaim = keyed, now: Moment = 0) -> String? {
        switch find(claim, now: now.instant) {
        case .response(let response): response.body == nil ? "response without body" : "response"
        case .job(let job, _): job.id
        case .inProgress(let phase): phase.rawValue
        case .unknown: "unknown"
        case .reused: "reused"
        case nil: nil
        }
    }
}

private let work = IdempotencyWork(
    lease: LeaseKey(organization: "org", connection: "c"), generation: 7, kind: "sync", family: .aitronos)
private let job = LeaseJob(id: "job", type: "sync", status: "running")

@Suite("Idempotency table")
struct IdempotencyTableTests {
    private let table = IdempotencyTable(capacityBytes: 1 << 20)

    @Test("IdempotencyTable: the first request gets the record, and the response is found until its time is over")
    func life() throws {
        let record = try #require(table.opened())
        // Not admitted yet, it may still be refused, so others neither get the record nor an answer from it.
        #expect(table.opened() == nil && table.word() == nil)
        record.begin(nil, follower: nil)
        #expect(table.opened() == nil && table.word() == "started")
        record.conclude(.responded(.ok()))
        #expect(table.word() == "response" && table.word(now: 59_999) == "response")
        #expect(table.word(now: 60_000) == nil)
        #expect(table.opened(now: 60_000) != nil)
    }

    @Test("IdempotencyTable: another request with the key is refused, in each state")
    func reused() throws {
        let other = IdempotencyClaim(number: 1, asks: 1)
        let record = try #require(table.opened())
        record.begin(nil, follower: nil)
        #expect(table.word(other) == "reused")
        record.conclude(.lost)
        #expect(table.word(other) == "reused")
    }

    @Test("IdempotencyTable: a record that is dropped before its work begins is gone, and after that it is uncertain")
    func dropped() throws {
        do { _ = try #require(table.opened()) }
        #expect(table.word() == nil)
        do {
            let record = try #require(table.opened())
            record.begin(work, follower: LeaseWaiter(loop: nil))
        }
        #expect(table.word() == "uncertain")
    }

    @Test("IdempotencyTable: without a lease nobody can tell what became of a lost response")
    func unknown() throws {
        let record = try #require(table.opened())
        record.begin(nil, follower: nil)
        record.conclude(.lost)
        #expect(table.word() == "unknown" && table.opened() == nil)
    }

    @Test("IdempotencyTable: the lease tells the job of a lost response, or that there is none")
    func resolved() throws {
        for isJob in [true, false] {
            let table = IdempotencyTable(capacityBytes: 1 << 20)
            let follower = LeaseWaiter(loop: nil)
            let record = try #require(table.opened())
            record.begin(work, follower: follower)
            record.conclude(.lost)
            #expect(table.word() == "uncertain")
            follower.end(isJob ? .job(job) : .nothing)
            #expect(table.word() == (isJob ? "job" : nil))
            #expect((table.opened() == nil) == isJob)
        }
    }

    @Test("IdempotencyTable: a lease that cannot tell leaves the record, and the request is not executed again")
    func cannotTell() throws {
        let follower = LeaseWaiter(loop: nil)
        let record = try #require(table.opened())
        record.begin(work, follower: follower)
        record.conclude(.lost)
        follower.end(.unknown)
        table.sweep(now: Moment(1000).instant)
        #expect(table.word(now: 1000) == "unknown" && table.opened(now: 1000) == nil)
    }

    @Test("IdempotencyTable: a record with a shorter life goes in time behind one with a longer life")
    func shorterLife() throws {
        for (number, keep) in [(1, Duration.seconds(86_400)), (2, .seconds(60))] {
            let record = try #require(table.opened(IdempotencyClaim(number: number, keep: keep)))
            record.begin(nil, follower: nil)
            record.conclude(.responded(.ok()))
        }
        for second in stride(from: 1, through: 181, by: 1) { table.sweep(now: Moment(Int64(second * 1000)).instant) }
        #expect(table.usage().records[.completed] == 1)
    }

    @Test("IdempotencyTable: a lease that ends before its request does not open the record")
    func endsEarly() throws {
        let follower = LeaseWaiter(loop: nil)
        let record = try #require(table.opened())
        record.begin(work, follower: follower)
        follower.end(.nothing)
        #expect(table.word() == "started")
        record.conclude(.responded(.ok()))
        #expect(table.word() == "response")
    }

    @Test("IdempotencyTable: a response that is too large is remembered without its body, and the job answers for it")
    func large() throws {
        let body = [UInt8](repeating: 1, count: StoredResponse.maxBodyBytes + StoredResponse.maxFieldBytes)
        let record = try #require(table.opened())
        record.begin(nil, follower: nil)
        record.conclude(.responded(.ok(body)))
        #expect(table.word() == "response without body")
        let second = IdempotencyClaim(number: 2)
        let other = try #require(table.opened(second))
        let follower = LeaseWaiter(loop: nil)
        other.begin(work, follower: follower)
        follower.end(.job(job))
        other.conclude(.responded(.ok(body)))
        #expect(table.word(second) == "job")
    }

    @Test("IdempotencyTable: a request in progress keeps its record beyond its time")
    func inProgress() throws {
        let record = try #require(table.opened())
        record.begin(nil, follower: nil)
        table.sweep(now: Moment(70_000).instant)
        #expect(table.word(now: 70_000) == "started")
        record.conclude(.responded(.ok()))
        table.sweep(now: Moment(70_001).instant)
        #expect(table.usage().records == [:] && table.usage().bytes == 0)
    }

    @Test(
        "IdempotencyTable: one organization fills half of the memory, no record of another is dropped, and time frees it"
    )
    func shares() throws {
        let table = IdempotencyTable(capacityBytes: 64 * IdempotencyRecord.baseCost)
        func fill(_ organization: String) -> Int {
            var count = 0
            while let record = table.opened(IdempotencyClaim(number: count, organization: organization)) {
                record.begin(nil, follower: nil)
                record.conclude(.responded(StoredResponse(status: 204, contentType: "", body: [])))
                count += 1
            }
            return count
        }
        #expect(fill("a") == 32)
        guard case .refused(let refusal) = table.open(IdempotencyClaim(number: 99, organization: "a"), now: 0) else {
            return #expect(Bool(false), "there was room")
        }
        #expect(refusal == .shareUsed(retryAfterSeconds: 60) || refusal == .shareUsed(retryAfterSeconds: 1))
        #expect(fill("b") == 16 && fill("c") == 8)
        for number in 0..<32 { #expect(table.word(IdempotencyClaim(number: number, organization: "a")) == "response") }
        table.sweep(now: Moment(60_000).instant)
        #expect(table.usage().bytes == 0)
    }

    @Test("IdempotencyTable: a body that does not fit into the share is left out, and the record stays")
    func bodyShare() throws {
        let table = IdempotencyTable(capacityBytes: 4 * IdempotencyRecord.baseCost)
        let record = try #require(table.opened())
        record.begin(nil, follower: nil)
        record.conclude(.responded(.ok([UInt8](repeating: 1, count: 4000))))
        #expect(table.word() == "response without body")
    }

    @Test("IdempotencyTable: requests that end with no record take no memory, however many there are")
    func bounded() throws {
        for _ in 0..<10_000 {
            let record = try #require(table.opened())
            record.begin(nil, follower: nil)
            record.conclude(.foundNothing)
        }
        #expect(table.usage().bytes == 0)
        #expect(table.queueLengthForTest <= 16 * 66)
    }

    @Test("IdempotencyTable: of parallel requests with one key exactly one gets the record")
    func parallel() async {
        let table = table
        for round in 0..<200 {
            let opened = await withTaskGroup(of: OpenRecord?.self) { group in
                for _ in 0..<8 { group.addTask { table.opened(IdempotencyClaim(number: round)) } }
                return await group.reduce(into: [OpenRecord]()) { if let record = $1 { $0.append(record) } }
            }
            #expect(opened.count == 1)
        }
    }
}
