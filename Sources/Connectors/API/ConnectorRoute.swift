/// What a request asks for, read from the raw bytes of its target.
///
/// Segments are compared as they came, never decoded: an id with an escape in it is the id of nothing.
struct ConnectorRoute: Equatable {
    /// The operations, each on a path of its own.
    enum Operation: Equatable {
        case connections
        case connection(String)
        case state(String)
        case refresh(String)
        case clear(String)
        case jobs
        case job(String)
        case retry(String)
        case sourceConnections
        case sourceConnection(String)
        case run(String)
        case sourceJobs(String)
        case cancelSourceJob(String, job: String)
        case none
    }

    let operation: Operation
    let isAirweave: Bool
    /// The organization of the path, where it has one.
    let organization: String?
    /// Where the query starts in the target, behind the `?`; the target's end if there is none.
    let query: Int

    /// The methods that the operation knows.
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

    init(_ target: [UInt8]) {
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
        query = min(index + 1, bytes.count)
        if index > start || segments.isEmpty { segments.append(min(start, index)..<index) }

        func text(_ segment: Int) -> String { String(decoding: target[segments[segment]], as: UTF8.self) }
        func has(_ segment: Int, _ word: String) -> Bool {
            segment < segments.count && target[segments[segment]].elementsEqual(word.utf8)
        }
        let count = segments.count
        if count >= 5, has(1, "organizations"), has(0, "v1"), has(3, "knowledge"), has(4, "connectors") {
            isAirweave = false
            organization = text(2)
            if has(5, "connections") {
                switch count {
                case 6: operation = .connections
                case 7: operation = .connection(text(6))
                case 8 where has(7, "state"): operation = .state(text(6))
                case 8 where has(7, "refresh"): operation = .refresh(text(6))
                case 8 where has(7, "clear"): operation = .clear(text(6))
                default: operation = .none
                }
            } else if has(5, "jobs") {
                switch count {
                case 6: operation = .jobs
                case 7: operation = .job(text(6))
                case 8 where has(7, "retry"): operation = .retry(text(6))
                default: operation = .none
                }
            } else {
                operation = .none
            }
            return
        }
        organization = nil
        let first = has(0, "v1") ? 1 : 0
        isAirweave = has(first, "source-connections")
        switch count - first {
        case 1 where isAirweave: operation = .sourceConnections
        case 2 where isAirweave: operation = .sourceConnection(text(first + 1))
        case 3 where isAirweave && has(first + 2, "run"): operation = .run(text(first + 1))
        case 3 where isAirweave && has(first + 2, "jobs"): operation = .sourceJobs(text(first + 1))
        case 5 where isAirweave && has(first + 2, "jobs") && has(first + 4, "cancel"):
            operation = .cancelSourceJob(text(first + 1), job: text(first + 3))
        default: operation = .none
        }
    }
}
