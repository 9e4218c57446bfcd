/// One `METHOD /path` of a route.
struct RoutePattern: Sendable {
    let methods: RouteMethods
    let segments: [Segment]

    /// One part of a path pattern between slashes.
    enum Segment: Hashable, Sendable {
        case literal([UInt8])
        case capture(Capture)
        /// `**` at the end: one or more segments.
        case rest

        fileprivate var text: String {
            switch self {
            case .literal(let bytes): String(decoding: bytes, as: UTF8.self)
            case .capture(.any): "*"
            case .capture(let capture): "{\(capture.rawValue)}"
            case .rest: "**"
            }
        }
    }

    /// The named variables, and `*` for a part without a name.
    enum Capture: String, CaseIterable, Sendable {
        case organization, connection, job
        case any = "*"
    }

    /// The maximum of segments in a pattern.
    static let maxSegments = 16

    /// The path as a policy writes it.
    var path: String {
        guard !segments.isEmpty else { return "/" }
        return segments.map { "/\($0.text)" }.joined()
    }
}
