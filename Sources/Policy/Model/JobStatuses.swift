internal import Bytes

/// The words of the API families for the status of a job, and what each means for the job's lease.
///
/// An upstream may say a word that is not here. Then the job counts as active, because freeing its connection too early would let
/// a second job run.
package struct JobStatuses: Equatable, Sendable {
    /// What a status says about the work of a job.
    package enum Phase: Equatable, Sendable {
        /// The job runs, or will run.
        case active
        /// The job is over, and its work with it.
        case ended
        /// The upstream calls the job over, but its work may go on for a while.
        case cancelled
    }

    /// The phase of each status, in lower case, by family.
    private var aitronos: [String: Phase]
    private var airweave: [String: Phase]

    package init(aitronos: [String: Phase], airweave: [String: Phase]) {
        self.aitronos = aitronos
        self.airweave = airweave
    }

    /// The phase of a status, in any case of its letters; `nil` if no list of the family has it. A route of another family may
    /// show jobs of either, so it knows the words of both.
    package func phase(of status: String, family: RouteFamily) -> Phase? {
        let word = status.utf8.allSatisfy { $0 < 0x80 && !$0.isUppercaseLetter } ? status : status.lowercased()
        switch family {
        case .aitronos: return aitronos[word]
        case .airweave: return airweave[word]
        case .other:
            let (one, other) = (aitronos[word], airweave[word])
            // Where the two differ, the one that keeps the connection longer.
            return [.active, .cancelled, .ended].first { $0 == one || $0 == other }
        }
    }

    /// The family has these words, in any case of their letters, and no others.
    mutating func replace(_ family: RouteFamily, with words: [(String, Phase)]) {
        let phases = Dictionary(words.map { ($0.0.lowercased(), $0.1) }) { first, _ in first }
        switch family {
        case .aitronos: aitronos = phases
        case .airweave: airweave = phases
        case .other: break
        }
    }

    /// The words that the contracts of the two families document.
    package static let documented = JobStatuses(
        aitronos: [
            "pending": .active, "queued": .active, "running": .active, "incomplete": .active, "cancelling": .active,
            "succeeded": .ended, "failed": .ended, "completed": .ended,
            "cancelled": .cancelled, "canceled": .cancelled,
        ],
        airweave: [
            "created": .active, "pending": .active, "running": .active, "cancelling": .active,
            "completed": .ended, "failed": .ended, "succeeded": .ended,
            "cancelled": .cancelled, "canceled": .cancelled,
        ])

    /// The documented words of a family, in alphabetical order.
    package static func documented(by family: RouteFamily) -> [String] {
        switch family {
        case .aitronos: documented.aitronos.keys.sorted()
        case .airweave: documented.airweave.keys.sorted()
        case .other: []
        }
    }
}
