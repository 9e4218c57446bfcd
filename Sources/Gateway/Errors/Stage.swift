/// The stages of the pipeline in their order, and the two places before it where a request can end.
package enum Stage: String, CaseIterable, Sendable {
    case connect, head
    case trace, route, authenticate, authorize, limit, read, lease, forward, normalize, record

    /// The position, for tables indexed by stage.
    package var index: Int {
        switch self {
        case .connect: 0
        case .head: 1
        case .trace: 2
        case .route: 3
        case .authenticate: 4
        case .authorize: 5
        case .limit: 6
        case .read: 7
        case .lease: 8
        case .forward: 9
        case .normalize: 10
        case .record: 11
        }
    }
}
