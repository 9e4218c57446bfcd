/// How questions about leases were answered since the start.
struct PollCounts: Equatable, Sendable {
    /// What was asked for came, whatever it showed.
    private(set) var answered: UInt64 = 0
    private(set) var doubtful: [DoubtfulResponse: UInt64] = [:]

    mutating func count(_ doubt: DoubtfulResponse?) {
        if let doubt { doubtful[doubt, default: 0] += 1 } else { answered += 1 }
    }
}

/// Tells the operator once when the answers about an organization's jobs stop proving anything, and once when they prove
/// something again.
///
/// Without answers no lease ends, and nobody would know why.
struct PollFailures {
    private struct Row {
        var count = 0
        var isReported = false
    }

    /// Organizations whose last answer proved nothing.
    private var rows: [String: Row] = [:]
    private var reported = 0

    /// So many in a row are no accident.
    static let enough = 3
    /// Where an upstream answers nobody, a line for each organization says nothing new.
    static let maxReported = 10

    /// A question of an organization was answered, with `doubt` where that proved nothing. Returns a line for the operator.
    mutating func answered(_ organization: String, _ doubt: DoubtfulResponse?) -> String? {
        guard let doubt else {
            guard rows.removeValue(forKey: organization)?.isReported ?? false else { return nil }
            reported -= 1
            return "status polls for the jobs of \(organization) are answered again"
        }
        rows[organization, default: Row()].count += 1
        guard let row = rows[organization], row.count >= Self.enough, !row.isReported, reported < Self.maxReported
        else {
            return nil
        }
        rows[organization]?.isReported = true
        reported += 1
        return
            "\(row.count) status polls in a row for the jobs of \(organization) had no usable answer: \(doubt.explanation). "
            + "The leases on its connections do not end until a poll is answered; \(doubt.advice)"
    }
}

extension DoubtfulResponse {
    fileprivate var explanation: String {
        switch self {
        case .refused: "the upstream does not let the gateway look (401, 403 or 407)"
        case .notFound: "the upstream has nothing at the path of the jobs (404 or 410)"
        case .failed: "no response came in time, or it was 429 or 5xx"
        case .unreadable: "the responses do not show all jobs that were asked for"
        case .stored: "the responses come from a cache (their Age field is not 0)"
        }
    }

    fileprivate var advice: String {
        switch self {
        case .refused:
            "give gateway.upstream.ownCredential a secret with which the jobs of every organization can be read"
        case .notFound:
            "check that the routes with \"jobStatus\" have the upstream's paths, and that ownCredential may see its jobs"
        case .failed: "check whether the upstream is healthy"
        case .unreadable: "check what the upstream responds at the paths of the routes with \"jobStatus\""
        case .stored: "let the cache in front of the upstream pass these requests on: they have Cache-Control: no-cache"
        }
    }
}
