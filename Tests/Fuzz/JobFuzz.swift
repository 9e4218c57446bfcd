import Policy

@testable import Gateway

/// Called by libFuzzer with each input: the id of an upstream's job is in canonical form, a list counts the jobs that
/// it could not read, and requests for the pages of an endless list end.
@c(LLVMFuzzerTestOneInput)
func fuzzJob(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    if let job = JobPayload.read(bytes.span) { check(job) }
    guard let list = JobList.read(bytes.span) else { return 0 }
    precondition(list.unreadable >= 0 && list.count >= list.jobs.count)
    list.jobs.forEach(check)
    for family in [RouteFamily.aitronos, .airweave] {
        let lease = PolledLease(
            serial: 1, key: LeaseKey(organization: "o", connection: "c"), kind: "sync", family: family, state: .held,
            job: nil, since: 1_764_288_000_000, isAccepted: false)
        var listing = JobListing(of: lease, until: nil)
        var pages = 1
        while listing.received(list) == .request {
            pages += 1
            precondition(pages <= JobListing.maxPages, "a list is asked for without end")
        }
        precondition(listing.jobs.count <= list.jobs.count, "the same page has given more jobs")
    }
    return 0
}

private func check(_ job: JobPayload) {
    precondition(ConnectionID.canonical(Array(job.id.utf8).span) == job.id, "an id has another spelling")
    precondition(ConnectionID.canonical(Array(job.spelling.utf8).span) == job.id)
    if let connection = job.connection {
        precondition(ConnectionID.canonical(Array(connection.utf8).span) == connection)
    }
    precondition((1...64).contains(job.status.utf8.count) && (job.type?.utf8.count ?? 1) <= 64)
}
