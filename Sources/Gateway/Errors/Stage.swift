/// Where a request can end: the stages of the pipeline, in its order and with its names, and the two places before it.
///
/// `resolve` counts as `read`, and `respond` as `record`. Six of them have a time of their own in the access log: `authorize` holds
/// what has passed since the head was read, `limit` both of its steps, and `record` what has passed since the last of the others;
/// `read`, `lease` and `forward` are the rest.
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
