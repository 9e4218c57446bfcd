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
    }

    /// The variable parts that mean something to the gateway, and `*` for those that do not.
    enum Capture: String, CaseIterable, Sendable {
        case organization, connection, job
        case any = "*"
    }

    /// The most segments a pattern may have.
    static let maxSegments = 16
}

/// A set of the methods that routes can have.
struct RouteMethods: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }

    static let get = RouteMethods(rawValue: 1)
    static let head = RouteMethods(rawValue: 2)
    static let post = RouteMethods(rawValue: 4)
    static let put = RouteMethods(rawValue: 8)
    static let patch = RouteMethods(rawValue: 16)
    static let delete = RouteMethods(rawValue: 32)
    static let options = RouteMethods(rawValue: 64)
    /// What `*` stands for.
    static let any: RouteMethods = [.get, .head, .post, .put, .patch, .delete]

    /// The members in the order in which `Allow` lists them.
    static let named: [(method: RouteMethods, name: String)] = [
        (.get, "GET"), (.head, "HEAD"), (.post, "POST"), (.put, "PUT"), (.patch, "PATCH"), (.delete, "DELETE"),
        (.options, "OPTIONS"),
    ]

    /// The method a request names; empty for those that no route can have.
    init(naming method: Span<UInt8>) {
        self =
            switch method.count {
            case 3: method.hasBytes("GET") ? .get : method.hasBytes("PUT") ? .put : []
            case 4: method.hasBytes("POST") ? .post : method.hasBytes("HEAD") ? .head : []
            case 5: method.hasBytes("PATCH") ? .patch : []
            case 6: method.hasBytes("DELETE") ? .delete : []
            case 7: method.hasBytes("OPTIONS") ? .options : []
            default: []
            }
    }

    /// The value of `Allow`.
    var allow: String {
        Self.named.filter { contains($0.method) }.map(\.name).joined(separator: ", ")
    }

    /// The position of a single method in a table.
    var index: Int { rawValue.trailingZeroBitCount }
}

extension Span<UInt8> {
    /// Whether these are exactly the bytes of `text`.
    func hasBytes(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        var index = 0
        for byte in text.description.utf8 {
            guard self[index] == byte else { return false }
            index += 1
        }
        return true
    }
}
