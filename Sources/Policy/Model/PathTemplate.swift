/// The path of a status poll, with variables for the organization, the connection and the job.
package struct PathTemplate: Equatable, Sendable {
    package let hasOrganization: Bool
    package let hasConnection: Bool
    package let hasJob: Bool
    private let segments: [RoutePattern.Segment]

    /// `nil` for a pattern with `*` or `**`: there is no value for them.
    init?(_ pattern: RoutePattern) {
        for segment in pattern.segments where segment == .rest || segment == .capture(.any) { return nil }
        segments = pattern.segments
        hasOrganization = pattern.captures.contains(.organization)
        hasConnection = pattern.captures.contains(.connection)
        hasJob = pattern.captures.contains(.job)
    }

    /// The path as it goes into a request line, or `nil` if a text is missing or is not one plain segment.
    ///
    /// Ids come from upstreams too: an id with a slash or an escape must not change the path of the poll.
    package func path(organization: String? = nil, connection: String? = nil, job: String? = nil) -> String? {
        var path = ""
        for segment in segments {
            let text: String?
            switch segment {
            case .literal(let bytes): text = String(decoding: bytes, as: UTF8.self)
            case .capture(.organization): text = organization
            case .capture(.connection): text = connection
            case .capture(.job): text = job
            case .capture(.any), .rest: text = nil
            }
            guard let text, !text.isEmpty, text != ".", text != "..", text.utf8.allSatisfy(\.isPlainInPath) else {
                return nil
            }
            path += "/\(text)"
        }
        return path.isEmpty ? "/" : path
    }

    fileprivate var gaps: Int { (hasOrganization ? 1 : 0) + (hasConnection ? 1 : 0) + (hasJob ? 1 : 0) }

    /// The number of leading segments that it shares with `start`, a request's path up to its first variable.
    fileprivate func agreement(with start: String) -> Int {
        let wanted = start.utf8.split(separator: UInt8(ascii: "/"))
        var count = 0
        for (segment, text) in zip(segments, wanted) {
            guard case .literal(let bytes) = segment, bytes.elementsEqual(text) else { return count }
            count += 1
        }
        return count
    }
}

/// The paths at which the upstream shows the status of jobs, for each family.
struct JobPaths: Sendable {
    /// The templates of the route with the most variables, in the order of its patterns.
    private var templates: [Key: [PathTemplate]] = [:]

    private struct Key: Hashable {
        let shown: Route.JobStatusBody
        let family: RouteFamily
    }

    /// `patterns[i]` are the patterns of `routes[i]`.
    init(routes: [Route], patterns: [[RoutePattern]]) {
        for (route, patterns) in zip(routes, patterns).sorted(by: { $0.0.id < $1.0.id }) {
            guard let shown = route.jobStatus else { continue }
            let asked = patterns.filter { $0.methods.contains(.get) }.compactMap(PathTemplate.init)
                .filter { shown == .job || !$0.hasJob }
            guard let most = asked.map(\.gaps).max() else { continue }
            let key = Key(shown: shown, family: route.family)
            // The more variables a path has, the fewer unrelated jobs are in the response.
            if let known = templates[key]?.first, known.gaps >= most { continue }
            templates[key] = asked.filter { $0.gaps == most }
        }
    }

    /// The template that shares the most leading segments with `start`; the first of several.
    subscript(_ shown: Route.JobStatusBody, _ family: RouteFamily, near start: String) -> PathTemplate? {
        guard let known = templates[Key(shown: shown, family: family)] else { return nil }
        var best = known.first
        var most = best?.agreement(with: start) ?? 0
        for template in known.dropFirst() {
            let agreement = template.agreement(with: start)
            if agreement > most { (best, most) = (template, agreement) }
        }
        return best
    }
}
