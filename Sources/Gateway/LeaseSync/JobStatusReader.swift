internal import Policy
internal import Synchronization

/// Reads the jobs that an upstream shows, with the words that the current policies have for their status.
///
/// A status that no policy lists counts as active. It is counted each time, and reported once.
final class JobStatusReader: Sendable {
    private struct Unknown {
        var count: UInt64 = 0
        var reported: Set<String> = []
    }

    private let statuses: @Sendable () -> JobStatuses
    private let report: @Sendable (String) -> Void
    private let unknown = Mutex(Unknown())

    /// The maximum number of words that are reported: an upstream could make up any number of them.
    private static let maxReported = 16

    /// `statuses` returns those of the current policies. `report` gets lines for the operator, from any thread.
    init(
        statuses: @escaping @Sendable () -> JobStatuses = { .documented },
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.statuses = statuses
        self.report = report
    }

    /// How often a job was shown with an unknown status, for metrics.
    var unknownCount: UInt64 { unknown.withLock { $0.count } }

    /// The words of the current policies.
    var current: JobStatuses { statuses() }

    /// The job for a lease. `type` is used if the payload has none.
    func job(_ payload: JobPayload, family: RouteFamily, type: String, location: String?) -> LeaseJob {
        let phase = statuses().phase(of: payload.status, family: family)
        if phase == nil { tellUnknown(payload.status, family) }
        return payload.job(type: type, location: location, phase: phase ?? .active)
    }

    private func tellUnknown(_ status: String, _ family: RouteFamily) {
        let isNew = unknown.withLock { unknown in
            unknown.count += 1
            return unknown.reported.count < Self.maxReported && unknown.reported.insert(status.lowercased()).inserted
        }
        guard isNew else { return }
        let families = family == .other ? "aitronos or airweave" : family.rawValue
        report(
            "the upstream shows a job with the unknown status \"\(DisplayText.line(status, limit: 64) ?? "")\": it counts as active, "
                + "so its lease may never end; add the status to a list of \(families) in \"jobStatuses\" of the policies"
        )
    }
}
