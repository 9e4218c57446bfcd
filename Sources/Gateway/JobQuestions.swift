package import Policy

/// The path under which a family shows one job of an organization, or the jobs of a connection; `nil` where it has none, or
/// where it needs what is not given.
package typealias JobPath =
    @Sendable (
        _ shown: Route.JobsShown, _ family: RouteFamily, _ organization: String, _ connection: String?, _ job: String?
    ) -> String?

/// Asks the upstream about leases, and reads what it says. An answer that is not what was asked for is none.
struct JobQuestions: Sendable {
    let questions: any UpstreamQuestions
    let path: JobPath

    /// What becomes of the lease's job, or which jobs there are where it has none.
    func ask(about lease: WatchedLease) async -> JobAnswer {
        do throws(UpstreamFailure) {
            return if let job = lease.job { try await ask(for: job, of: lease) } else {
                try await askForJobs(of: lease)
            }
        } catch { return .unknown }
    }

    private func ask(for job: LeaseJob, of lease: WatchedLease) async throws(UpstreamFailure) -> JobAnswer {
        let key = lease.key
        let own = job.location ?? path(.job, lease.family, key.organization, key.connection, job.id)
        guard let own else { return try await find(job, of: lease) }
        let answer = try await questions.ask(own, for: key.organization)
        if answer.status == 404 { return .notFound }
        guard (200...299).contains(answer.status), let shown = JobObject.read(answer.body.span), shown.id == job.id,
            shown.mayRun(on: key.connection)
        else { return .unknown }
        return .job(shown.job(type: job.type, location: job.location))
    }

    /// Where only lists show jobs. What is not in a list of the newest, all of it readable, is not there.
    private func find(_ job: LeaseJob, of lease: WatchedLease) async throws(UpstreamFailure) -> JobAnswer {
        guard let target = listTarget(of: lease) else { return .unknown }
        let answer = try await questions.ask(target, for: lease.key.organization)
        if answer.status == 404 { return .notFound }
        guard (200...299).contains(answer.status), let list = JobList.read(answer.body.span) else { return .unknown }
        if let shown = list.jobs.first(where: { $0.id == job.id && $0.mayRun(on: lease.key.connection) }) {
            return .job(shown.job(type: job.type, location: job.location))
        }
        return list.unreadable == 0 ? .notFound : .unknown
    }

    private func askForJobs(of lease: WatchedLease) async throws(UpstreamFailure) -> JobAnswer {
        guard let target = listTarget(of: lease), var list = try await list(target, lease) else { return .unknown }
        if let total = list.total, total > list.count {
            // The upstream may not have put the newest first.
            guard let last = try await self.list("\(target)&offset=\(max(0, total - Self.pageLength))", lease) else {
                return .unknown
            }
            let known = Set(list.jobs.map(\.id))
            list.jobs += last.jobs.filter { !known.contains($0.id) }
        }
        let jobs = list.jobs.filter { $0.mayRun(on: lease.key.connection) }
        return .jobs(
            jobs.map { job in
                let key = lease.key
                let location = path(.job, lease.family, key.organization, key.connection, job.spelling)
                return job.job(type: lease.kind, location: location)
            })
    }

    /// `nil` for what does not prove that a job is not there.
    private func list(_ target: String, _ lease: WatchedLease) async throws(UpstreamFailure) -> JobList? {
        let answer = try await questions.ask(target, for: lease.key.organization)
        guard (200...299).contains(answer.status), let list = JobList.read(answer.body.span), list.unreadable == 0
        else {
            return nil
        }
        return list
    }

    private static let pageLength = 100

    private func listTarget(of lease: WatchedLease) -> String? {
        let key = lease.key
        guard let path = path(.jobs, lease.family, key.organization, key.connection, nil) else { return nil }
        switch lease.family {
        // Newest first, and of one connection by its path.
        case .airweave: return "\(path)?limit=\(Self.pageLength)"
        // Ids are made of unreserved characters and need no escapes.
        case .aitronos, .other:
            return "\(path)?connection_id=\(key.connection)&order_by=createdAt%7CDESC&limit=\(Self.pageLength)"
        }
    }
}
