/// What a request asks for, read from the raw bytes of its target.
///
/// Segments are compared as they came, never decoded: an id with an escape in it is the id of nothing.
package struct ConnectorRoute: Equatable {
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
    /// Whether the path is of the Airweave family, whose errors have a `detail`.
    package let isAirweave: Bool
    /// The organization of the path, where it has one.
    package let organization: String?
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

    /// Reads a target, path and query, as it came.
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
        query = min(index + 1, bytes.count)
        if index > start || segments.isEmpty { segments.append(min(start, index)..<index) }

        // Copied, so that the functions below capture a constant: a captured variable is a box with checked accesses.
        let found = segments
        let word = Word.all
        func text(_ segment: Int) -> String { String(decoding: target[found[segment]], as: UTF8.self) }
        func has(_ segment: Int, _ word: [UInt8]) -> Bool {
            guard segment < found.count, found[segment].count == word.count else { return false }
            let start = found[segment].lowerBound
            for index in word.indices where target[start + index] != word[index] { return false }
            return true
        }
        let count = found.count
        if count >= 5, has(1, word.organizations), has(0, word.v1), has(3, word.knowledge), has(4, word.connectors) {
            isAirweave = false
            organization = text(2)
            if has(5, word.connections) {
                switch count {
                case 6: operation = .connections
                case 7: operation = .connection(text(6))
                case 8 where has(7, word.state): operation = .state(text(6))
                case 8 where has(7, word.refresh): operation = .refresh(text(6))
                case 8 where has(7, word.clear): operation = .clear(text(6))
                default: operation = .none
                }
            } else if has(5, word.jobs) {
                switch count {
                case 6: operation = .jobs
                case 7: operation = .job(text(6))
                case 8 where has(7, word.retry): operation = .retry(text(6))
                default: operation = .none
                }
            } else {
                operation = .none
            }
            return
        }
        organization = nil
        let first = has(0, word.v1) ? 1 : 0
        isAirweave = has(first, word.sourceConnections)
        switch count - first {
        case 1 where isAirweave: operation = .sourceConnections
        case 2 where isAirweave: operation = .sourceConnection(text(first + 1))
        case 3 where isAirweave && has(first + 2, word.run): operation = .run(text(first + 1))
        case 3 where isAirweave && has(first + 2, word.jobs): operation = .sourceJobs(text(first + 1))
        case 5 where isAirweave && has(first + 2, word.jobs) && has(first + 4, word.cancel):
            operation = .cancelSourceJob(text(first + 1), job: text(first + 3))
        default: operation = .none
        }
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
