/// The operation that a request asks for, and the positions of the ids in its target.
///
/// Segments are compared as received, never decoded: an id with a percent-encoded byte matches no connection or job.
package struct ConnectorRoute: Equatable, Sendable {
    /// The operations, each with its own path.
    enum Operation: Equatable, Sendable {
        case connections
        case connection
        case state
        case refresh
        case clear
        case jobs
        case job
        case retry
        case sourceConnections
        case sourceConnection
        case run
        case sourceJobs
        case cancelSourceJob
        case none
    }

    let operation: Operation
    /// Whether the path belongs to the Airweave family, whose errors have a `detail`.
    package let isAirweave: Bool
    /// The organization in the path, if it has one. All ranges are offsets into the target.
    package private(set) var organization: Range<Int>?
    /// The connection in the path; empty if the operation has none.
    private(set) var connection = 0..<0
    /// The job in the path; empty if the operation has none.
    private(set) var job = 0..<0

    /// The methods that the operation allows.
    var methods: [String] {
        switch operation {
        case .connections, .connection, .sourceConnections, .sourceConnection, .sourceJobs: ["GET"]
        case .state: ["GET", "PATCH"]
        case .refresh, .clear, .retry, .run, .cancelSourceJob: ["POST"]
        case .jobs: ["GET", "POST"]
        case .job: ["GET", "DELETE"]
        case .none: []
        }
    }
}

extension ConnectorRoute {
    /// The paths of the operations, as policies write them. A caller that has matched one passes its position: the
    /// target is not parsed again.
    package static let paths = table.map(\.path)

    /// For each path, whether its reads are always answered from memory. A list of jobs may be too long for that.
    static let isReadFromMemory = table.map { $0.operation != .jobs }

    private static let table: [(path: String, operation: Operation)] = {
        let own = "/v1/organizations/{organization}/knowledge/connectors"
        let sources = "source-connections"
        var table: [(path: String, operation: Operation)] = [
            ("\(own)/connections", .connections),
            ("\(own)/connections/{connection}", .connection),
            ("\(own)/connections/{connection}/state", .state),
            ("\(own)/connections/{connection}/refresh", .refresh),
            ("\(own)/connections/{connection}/clear", .clear),
            ("\(own)/jobs", .jobs),
            ("\(own)/jobs/{job}", .job),
            ("\(own)/jobs/{job}/retry", .retry),
        ]
        for start in ["/v1", ""] {
            table += [
                ("\(start)/\(sources)", .sourceConnections),
                ("\(start)/\(sources)/{connection}", .sourceConnection),
                ("\(start)/\(sources)/{connection}/run", .run),
                ("\(start)/\(sources)/{connection}/jobs", .sourceJobs),
                ("\(start)/\(sources)/{connection}/jobs/{job}/cancel", .cancelSourceJob),
            ]
        }
        return table
    }()

    /// A path that the caller has matched: its position in ``paths``, and the positions of its variables in the target.
    package init(path: Int, organization: Range<Int>?, connection: Range<Int>?, job: Range<Int>?) {
        operation = Self.table[path].operation
        switch operation {
        case .sourceConnections, .sourceConnection, .run, .sourceJobs, .cancelSourceJob: isAirweave = true
        case .connections, .connection, .state, .refresh, .clear, .jobs, .job, .retry, .none: isAirweave = false
        }
        self.organization = organization
        self.connection = connection ?? 0..<0
        self.job = job ?? 0..<0
    }
}

extension ConnectorRoute {
    /// Parses a target: path and query, as received.
    package init(_ target: [UInt8]) {
        let bytes = target.span
        var segments: [Range<Int>] = []
        segments.reserveCapacity(10)
        var index = 0
        var start = 1
        while index < bytes.count, bytes[index] != UInt8(ascii: "?") {
            if bytes[index] == UInt8(ascii: "/"), index > 0 {
                segments.append(start..<index)
                start = index + 1
            }
            index += 1
        }
        if index > start || segments.isEmpty { segments.append(min(start, index)..<index) }

        // Copied, so that the functions below capture a constant: a captured variable is a box with checked accesses.
        let found = segments
        let word = Word.all
        func has(_ segment: Int, _ word: [UInt8]) -> Bool {
            guard segment < found.count, found[segment].count == word.count else { return false }
            let start = found[segment].lowerBound
            for index in word.indices where target[start + index] != word[index] { return false }
            return true
        }
        let count = found.count
        if count >= 5, has(1, word.organizations), has(0, word.v1), has(3, word.knowledge), has(4, word.connectors) {
            isAirweave = false
            organization = found[2]
            if has(5, word.connections) {
                switch count {
                case 6: operation = .connections
                case 7: operation = .connection
                case 8 where has(7, word.state): operation = .state
                case 8 where has(7, word.refresh): operation = .refresh
                case 8 where has(7, word.clear): operation = .clear
                default: operation = .none
                }
                if operation != .none, count > 6 { connection = found[6] }
            } else if has(5, word.jobs) {
                switch count {
                case 6: operation = .jobs
                case 7: operation = .job
                case 8 where has(7, word.retry): operation = .retry
                default: operation = .none
                }
                if operation != .none, count > 6 { job = found[6] }
            } else {
                operation = .none
            }
            return
        }
        let first = has(0, word.v1) ? 1 : 0
        isAirweave = has(first, word.sourceConnections)
        switch count - first {
        case 1 where isAirweave: operation = .sourceConnections
        case 2 where isAirweave: operation = .sourceConnection
        case 3 where isAirweave && has(first + 2, word.run): operation = .run
        case 3 where isAirweave && has(first + 2, word.jobs): operation = .sourceJobs
        case 5 where isAirweave && has(first + 2, word.jobs) && has(first + 4, word.cancel):
            operation = .cancelSourceJob
            job = found[first + 3]
        default: operation = .none
        }
        if operation != .none, count - first > 1 { connection = found[first + 1] }
    }
}

/// The fixed segments, as bytes made once.
private struct Word {
    let v1 = Array("v1".utf8)
    let organizations = Array("organizations".utf8)
    let knowledge = Array("knowledge".utf8)
    let connectors = Array("connectors".utf8)
    let connections = Array("connections".utf8)
    let state = Array("state".utf8)
    let refresh = Array("refresh".utf8)
    let clear = Array("clear".utf8)
    let jobs = Array("jobs".utf8)
    let retry = Array("retry".utf8)
    let sourceConnections = Array("source-connections".utf8)
    let run = Array("run".utf8)
    let cancel = Array("cancel".utf8)

    static let all = Word()
}
