import Policy
import Testing

@testable import Gateway

@Suite("Pages of a job list")
struct JobListingTests {
    /// An upstream's way of showing its jobs.
    private struct Service {
        var jobs: [String]
        var cap = Int.max
        var knowsOffset = true
        var knowsLimit = true
        var wrap: (_ page: [String], _ all: [String]) -> String = { page, _ in
            "[" + page.joined(separator: ",") + "]"
        }

        func page(_ place: String) -> JobList? {
            let fields = place.split(separator: "&").map { $0.split(separator: "=") }
            func value(_ name: String) -> Int? { fields.first { $0[0] == name }.flatMap { Int($0[1]) } }
            let rest = jobs.dropFirst(knowsOffset ? value("offset") ?? 0 : 0)
            let body = wrap(Array(rest.prefix(min(knowsLimit ? value("limit") ?? .max : .max, cap))), jobs)
            return JobList.read(Array(body.utf8).span)
        }
    }

    private func job(_ number: Int, started: Int? = nil, created: Int? = nil, status: String = "failed") -> String {
        func time(_ name: String, _ minute: Int?) -> String {
            func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
            return minute.map { #","\#(name)":"2024-06-11T\#(two($0 / 60)):\#(two($0 % 60)):00Z""# } ?? ""
        }
        return #"{"id":"j\#(number)","source_connection_id":"c1","status":"\#(status)""#
            + time("started_at", started) + time("created_at", created) + "}"
    }

    private func jobs(_ numbers: Range<Int>) -> [String] { numbers.map { job($0) } }

    /// How a look for the job `wanted` ends, and which pages it took.
    private func look(
        _ service: Service, _ family: RouteFamily = .airweave, for wanted: String? = "x", startedAt: Int64? = nil,
        since: Int64 = 1_800_000_000_000, mayRestart: Bool = false
    ) -> (isProof: Bool, isFound: Bool, places: [String]) {
        let known = wanted.map { LeaseJob(id: $0, type: "sync", status: "running", startedAt: startedAt) }
        let lease = PolledLease(
            serial: 1, key: LeaseKey(organization: "o", connection: "c1"), kind: "sync", family: family,
            state: known == nil ? .uncertain : .held, job: known, since: since, isAccepted: false,
            origin: LeaseOrigin(mayRestart: mayRestart))
        var listing = JobListing(of: lease, until: wanted)
        var places: [String] = []
        while places.count < 50 {
            places.append(listing.page)
            guard let page = service.page(listing.page) else {
                listing.failed(.unreadable)
                break
            }
            if listing.received(page) == .end { break }
        }
        return (listing.doubt == nil, wanted != nil && listing.jobs.last?.id == wanted, places)
    }

    @Test(
        "JobListing: a list that pages by offset is read to its end, however short its pages are",
        arguments: [10, 50, 100, 1000])
    func offsets(cap: Int) {
        let all = jobs(0..<150)
        #expect(look(Service(jobs: all, cap: cap)).isProof)
        #expect(look(Service(jobs: all, cap: cap), for: "j149").isFound)
        #expect(look(Service(jobs: all, cap: cap), .other).isProof)
    }

    @Test("JobListing: Airweave has no offset, but longer lists")
    func longerLists() {
        let service = Service(jobs: jobs(0..<150), knowsOffset: false)
        let look = look(service)
        #expect(look.isProof && look.places == ["limit=100", "limit=1000", "limit=1000&offset=150"])
        #expect(self.look(service, for: "j149").isFound)
        // Longer ones than it may show.
        #expect(!self.look(Service(jobs: jobs(0..<1200), knowsOffset: false)).isProof)
    }

    @Test("JobListing: a service without pages shows the same again")
    func noPages() {
        #expect(look(Service(jobs: jobs(0..<3), knowsOffset: false)).isProof)
        #expect(look(Service(jobs: [])).isProof)
    }

    @Test(
        "JobListing: the same page again is not the end where the limit counts and the page is as long as a service's own may be"
    )
    func shortPages() {
        for length in [10, 25, 50] {
            let look = look(Service(jobs: jobs(0..<120), cap: length, knowsOffset: false), .other)
            #expect(!look.isProof && look.places.last == "limit=\(length - 1)")
        }
        // So long it is by chance, or the limit means nothing.
        #expect(look(Service(jobs: jobs(0..<17), knowsOffset: false), .other).isProof)
        #expect(look(Service(jobs: jobs(0..<5), knowsOffset: false), .other).isProof)
        #expect(look(Service(jobs: jobs(0..<50), knowsOffset: false, knowsLimit: false), .other).isProof)
        // Airweave has no pages: its lists are as long as they are asked for.
        #expect(look(Service(jobs: jobs(0..<50), knowsOffset: false)).isProof)
    }

    @Test("JobListing: the same full page again is not the end")
    func samePage() {
        #expect(!look(Service(jobs: jobs(0..<150), cap: 100, knowsOffset: false)).isProof)
        #expect(!look(Service(jobs: jobs(0..<150), cap: 100, knowsOffset: false), .other).isProof)
    }

    @Test(
        "JobListing: a body that says that there is more is believed",
        arguments: [
            #""has_more":true"#, #""hasMore":true"#, #""next_cursor":"abc""#, #""next":"https://a/jobs?page=2""#,
            #""pagination":{"total":150}"#, #""meta":{"total":150}"#, #""pagination":{"has_more":true}"#,
            #""links":{"next":"/jobs?page=2"}"#, #""nextPage":2"#, #""has_next":true"#, #""next_url":"/jobs?b""#,
        ])
    func more(member: String) {
        var service = Service(jobs: jobs(0..<150), cap: 50, knowsOffset: false)
        service.wrap = { page, _ in #"{"data":["# + page.joined(separator: ",") + "],\(member)}" }
        #expect(!look(service).isProof && !look(service, .other).isProof)
    }

    @Test(
        "JobListing: a body that says that there is no next page completes the list",
        arguments: [
            #""has_more":false"#, #""next":null"#, #""next_cursor":"""#, #""links":{"next":null}"#, #""total":3"#,
            #""page":1"#, #""pagination":{"total":3}"#,
        ])
    func noMore(member: String) {
        var service = Service(jobs: jobs(0..<3), knowsOffset: false)
        service.wrap = { page, _ in #"{"data":["# + page.joined(separator: ",") + "],\(member)}" }
        #expect(look(service).isProof)
    }

    @Test("JobListing: a longer page is requested also if the first page has a next one")
    func longerListsThatSayMore() {
        var service = Service(jobs: jobs(0..<150), knowsOffset: false)
        service.wrap = { page, all in
            #"{"data":["# + page.joined(separator: ",") + #"],"has_more":\#(page.count < all.count)}"#
        }
        let look = look(service)
        #expect(look.isProof && look.places == ["limit=100", "limit=1000"])
    }

    @Test("JobListing: a total that is only the length of the page says nothing where the page comes again")
    func totalOfPage() {
        var service = Service(jobs: jobs(0..<150), cap: 100, knowsOffset: false)
        service.wrap = { page, _ in #"{"data":["# + page.joined(separator: ",") + #"],"total":\#(page.count)}"# }
        #expect(!look(service, .other).isProof)
    }

    @Test("JobListing: an order by creation time that reaches back before the lease completes the list")
    func made() {
        let all = (0..<1200).map { job($0, created: 1400 - $0) }
        let service = Service(jobs: all, cap: 100, knowsOffset: false)
        #expect(look(service).isProof && look(service).places.count == 1)
        #expect(look(service, for: nil).isProof)
        #expect(!look(service, since: 1_600_000_000_000).isProof, "younger than the lease")
        #expect(!look(Service(jobs: all.reversed(), cap: 100, knowsOffset: false)).isProof, "oldest first")
        // A job that is started again keeps its place.
        #expect(!look(service, mayRestart: true).isProof)
    }

    @Test("JobListing: an order by start time proves nothing about a job that has not started")
    func started() {
        // As MySQL and SQLite sort: what has no start comes last.
        let all = (0..<150).map { job($0, started: 1400 - $0) } + [job(999, status: "created")]
        let service = Service(jobs: all, cap: 100)
        #expect(look(service, for: "j999").isFound)
        #expect(!look(Service(jobs: all, cap: 100, knowsOffset: false), for: "j999").isProof)
        #expect(
            look(Service(jobs: all, cap: 100, knowsOffset: false), startedAt: 5).places.count == 1, "it had started")
        // Where the longest list does not show all, it has to do.
        let many = (0..<1200).map { job($0, started: 1400 - $0) }
        #expect(look(Service(jobs: many, knowsOffset: false), for: nil).isProof)
    }

    @Test("JobListing: unreadable jobs, and jobs of another connection, prove nothing")
    func damaged() {
        #expect(!look(Service(jobs: jobs(0..<3) + ["7"])).isProof)
        #expect(!look(Service(jobs: [job(1).replacingConnection()])).isProof)
        #expect(look(Service(jobs: [job(1).replacingConnection()]), .other).isProof, "it lists all connections")
    }

    @Test("JobListing: a total that shrinks, or that is less than what was shown, is none")
    func totals() {
        var service = Service(jobs: jobs(0..<150), cap: 30)
        service.wrap = { page, all in
            let total = page.isEmpty || page[0].contains("j30\"") ? 3 : all.count
            return #"{"data":["# + page.joined(separator: ",") + "],\"total\":\(total)}"
        }
        #expect(look(service, .aitronos).isProof, "the largest counts")
        service.wrap = { page, _ in #"{"data":["# + page.joined(separator: ",") + "],\"total\":3}" }
        #expect(!look(service, .aitronos).isProof)
        service.wrap = { _, _ in #"{"data":[],"total":3}"# }
        #expect(!look(service, .aitronos).isProof)
    }

    @Test("JobListing: a list that never ends proves nothing, and is given up")
    func endless() {
        let look = look(Service(jobs: jobs(0..<5000), cap: 100))
        #expect(!look.isProof && look.places.count == JobListing.maxPages)
    }
}

extension String {
    fileprivate func replacingConnection() -> String { split(separator: "\"c1\"").joined(separator: "\"c2\"") }
}
