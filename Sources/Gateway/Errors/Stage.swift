/// The stages at which a request can end: those of the pipeline, in its order and with its names, and two before them.
///
/// `resolve` counts as `read`, and `respond` as `record`. Six stages have times in the access log. `authorize` has the
/// time since the head was read, `limit` has the time before the body, and `record` has the time since the stage before it.
/// The others are `read`, `admit` and `forward`.
package enum Stage: String, CaseIterable, Sendable {
    case connect, head
    case trace, route, authenticate, authorize, limit, read, admit, forward, normalize, record

    /// The position, for tables with an entry for each stage.
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
        case .admit: 8
        case .forward: 9
        case .normalize: 10
        case .record: 11
        }
    }
}
