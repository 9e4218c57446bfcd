/// The results of status polls since the start.
struct PollCounts: Equatable, Sendable {
    /// Polls with a usable response, whatever it showed.
    private(set) var answered: UInt64 = 0
    private(set) var inconclusive: [InconclusiveResponse: UInt64] = [:]

    mutating func count(_ doubt: InconclusiveResponse?) {
        if let doubt { inconclusive[doubt, default: 0] += 1 } else { answered += 1 }
    }
}

/// Reports once when the status polls for an organization stop giving usable responses, and once when they give them again.
///
/// Without usable responses no lease ends, so the operator must learn the reason.
struct PollFailures {
    private struct Row {
        var count = 0
        var isReported = false
    }

    /// The organizations whose last poll had no usable response.
    private var rows: [String: Row] = [:]
    private var reported = 0

    /// The number of unusable responses in a row that is reported.
    static let enough = 3
    /// The maximum number of reported organizations: if an upstream fails for all, more lines say nothing new.
    static let maxReported = 10

    /// A poll for an organization ended, with `doubt` if its response was not usable. Returns a line for the operator,
    /// or `nil`.
    mutating func record(_ organization: String, _ doubt: InconclusiveResponse?) -> String? {
        guard let doubt else {
            guard rows.removeValue(forKey: organization)?.isReported ?? false else { return nil }
            reported -= 1
            return "status polls for the jobs of \(organization) have usable responses again"
        }
        rows[organization, default: Row()].count += 1
        guard let row = rows[organization], row.count >= Self.enough, !row.isReported, reported < Self.maxReported
        else {
            return nil
        }
        rows[organization]?.isReported = true
        reported += 1
        return
            "\(row.count) status polls in a row for the jobs of \(organization) had no usable response: \(doubt.explanation). "
            + "The leases on its connections do not end until a poll succeeds: \(doubt.advice)"
    }
}

extension InconclusiveResponse {
    fileprivate var explanation: String {
        switch self {
        case .refused: "the upstream denies the gateway access (401, 403 or 407)"
        case .notFound: "the upstream has no resource at the path of the jobs (404 or 410)"
        case .failed: "no response came in time, or it was 429 or 5xx"
        case .unreadable: "the responses cannot be read, or do not show all jobs"
        case .fromCache: "the responses come from a cache (their Age field is not 0)"
        }
    }

    fileprivate var advice: String {
        switch self {
        case .refused:
            "set gateway.upstream.ownCredential to a secret that can read the jobs of every organization"
        case .notFound:
            "check that the routes with \"jobStatus\" have the upstream's paths, and that ownCredential can read its jobs"
        case .failed: "check whether the upstream is healthy"
        case .unreadable: "check what the upstream responds at the paths of the routes with \"jobStatus\""
        case .fromCache: "let the cache in front of the upstream forward requests with Cache-Control: no-cache"
        }
    }
}
