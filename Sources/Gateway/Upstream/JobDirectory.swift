/// The jobs of the upstream, for leases.
package protocol JobDirectory: Sendable {
    /// The connection that a job belongs to; `nil` if the organization has no such job.
    func connection(ofJob job: String, organization: String) async throws(UpstreamFailure) -> String?

    /// All running jobs. At start the leases are rebuilt from them.
    func runningJobs() async throws(UpstreamFailure) -> [RunningJob]

    /// Calls `observer`, from any thread, when a job starts and when it ends. The job's status says which of the two.
    func observeJobs(_ observer: @escaping @Sendable (RunningJob) -> Void)
}
