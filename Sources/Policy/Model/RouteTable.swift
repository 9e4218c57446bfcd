internal import Bytes

/// All routes, compiled into a tree over path segments.
package struct RouteTable: Sendable {
    /// In the order of their index.
    package let routes: [Route]
    private let tree: RouteTree
    private let jobPaths: JobPaths

    /// `patterns[i]` are the patterns of `routes[i]`; validation ensures that no two are the same. `servicePaths` are
    /// the paths of the service behind the gateway, as policies write them.
    init(routes: [Route], patterns: [[RoutePattern]], servicePaths: [String] = []) {
        self.routes = routes
        tree = RouteTree(routes: routes, patterns: patterns, servicePaths: servicePaths)
        jobPaths = JobPaths(routes: routes, patterns: patterns)
    }

    /// The path at which the upstream of a family shows one job or several; `nil` if no route of the family has one.
    ///
    /// Of several routes, the one with the most variables is used, then the first by id. Of its patterns, the one that
    /// shares the most leading segments with `start`, a request's path up to its first variable, then the first. So an
    /// upstream that gets requests without `/v1` is also polled without it.
    package func path(
        showing shown: Route.JobStatusBody, family: RouteFamily, near start: String = ""
    ) -> PathTemplate? { jobPaths[shown, family, near: start] }
}

/// The result of matching a method and a path.
package enum RouteMatch: Sendable {
    case route(Route, RouteCaptures)
    /// `OPTIONS` on a path that exists.
    case options(allow: String, RouteFamily)
    case notFound(RouteFamily)
    case methodNotAllowed(allow: String, RouteFamily)
    case ambiguousPath(RouteFamily)
}

extension RouteTable {
    /// Finds the route of a request. A literal segment wins over a variable, and a variable over `**`. One slash at the
    /// end of the path is ignored. `HEAD` matches as `GET` if it has no route of its own. `**` never matches a path
    /// that another pattern matches, whatever the method.
    ///
    /// Nothing is decoded. A path that an upstream could read as another path is refused: percent-escapes, empty and
    /// dot segments, bytes outside `pchar` of RFC 3986, and known segments in other case.
    package func match(method: Span<UInt8>, path: Span<UInt8>) -> RouteMatch {
        var walk = Walk(method: RouteMethods(naming: method))
        if path.count == 1, path[0] == UInt8(ascii: "*"), walk.method == .options {
            return .options(allow: Self.allowed(.any), .other)
        }
        let end = path.count > 0 && path[0] == .slash ? search(path, node: 0, at: 1, depth: 0, &walk) : nil
        let isKnown = end != nil || !walk.allowed.isEmpty
        if (isKnown && walk.isAmbiguous) || (end == nil && Self.isAmbiguous(path, from: 1)) {
            return .ambiguousPath(walk.family ?? .other)
        }
        if let end {
            let pattern = tree.ends[end]
            var captures = RouteCaptures()
            if pattern.organization >= 0 { captures.organization = walk.segment(pattern.organization) }
            if pattern.connection >= 0 { captures.connection = walk.segment(pattern.connection) }
            if pattern.job >= 0 { captures.job = walk.segment(pattern.job) }
            if pattern.servicePath >= 0 { captures.servicePath = Int(pattern.servicePath) }
            return .route(routes[Int(pattern.route)], captures)
        }
        let family = walk.family ?? .other
        guard !walk.allowed.isEmpty else { return .notFound(family) }
        let allow = Self.allowed(walk.allowed)
        return walk.method == .options ? .options(allow: allow, family) : .methodNotAllowed(allow: allow, family)
    }

    private static func allowed(_ methods: RouteMethods) -> String {
        var all = methods.union(.options)
        if all.contains(.get) { all.insert(.head) }
        return all.allow
    }

    /// The state of one search.
    private struct Walk {
        let method: RouteMethods
        var segments = InlineArray<16, (Int32, Int32)>(repeating: (0, 0))
        var allowed: RouteMethods = []
        /// A pattern without `**` matches the path.
        var isNamed = false
        var isAmbiguous = false
        var deepest = -1
        var family: RouteFamily?

        init(method: RouteMethods) { self.method = method }

        func segment(_ index: Int8) -> Range<Int> {
            let (lower, upper) = segments[Int(index)]
            return Int(lower)..<Int(upper)
        }
    }

    /// Searches below `node` for the rest of the path from `start` on.
    private func search(_ path: Span<UInt8>, node: Int32, at start: Int, depth: Int, _ walk: inout Walk) -> Int? {
        var (node, start, depth) = (node, start, depth)
        var current = tree.nodes[Int(node)]
        descent: while true {
            if depth > walk.deepest {
                walk.deepest = depth
                walk.family = current.family
            }
            guard start < path.count else {
                walk.isNamed = walk.isNamed || current.exactMatches >= 0
                return find(current.exactMatches, &walk)
            }
            for index in tree.edges(of: current, for: path, at: start) {
                let edge = tree.edges[index]
                switch compare(edge, with: path, at: start) {
                case .same:
                    let next = start + Int(edge.count) + 1
                    guard edge.isOnlyCandidate else {
                        if let found = search(path, node: edge.child, at: next, depth: depth + 1, &walk) {
                            return found
                        }
                        continue
                    }
                    (node, start, depth) = (edge.child, next, depth + 1)
                    current = tree.nodes[Int(node)]
                    continue descent
                case .sameInOtherCase: walk.isAmbiguous = true
                case .different: break
                }
            }
            break
        }
        if current.capture >= 0 {
            let rest = path.extracting(droppingFirst: start)
            var length = 0
            var isPlain = true
            while length < rest.count {
                let byte = rest[length]
                if byte == .slash { break }
                if !byte.isPlainInPath { isPlain = false }
                length &+= 1
            }
            let end = start + length
            if depth < RoutePattern.maxSegments {
                walk.segments[depth] = (Int32(truncatingIfNeeded: start), Int32(truncatingIfNeeded: end))
            }
            if let found = search(path, node: current.capture, at: end + 1, depth: depth + 1, &walk) {
                walk.isAmbiguous = walk.isAmbiguous || !isPlain || start == end || Self.isDots(path, start..<end)
                return found
            }
        }
        // `**` must not match a path that another pattern matches for another method: it would bypass that route's
        // lease and scope.
        if !walk.isNamed, let found = find(current.prefixMatches, &walk) {
            walk.isAmbiguous = walk.isAmbiguous || Self.isAmbiguous(path, from: start)
            return found
        }
        return nil
    }

    private func find(_ table: Int32, _ walk: inout Walk) -> Int? {
        guard table >= 0 else { return nil }
        let table = tree.methods[Int(table)]
        walk.allowed.formUnion(table.methods)
        guard !walk.method.isEmpty, walk.method != .options else { return nil }
        if table.methods.contains(walk.method) { return Int(table[walk.method.index]) }
        if walk.method == .head, table.methods.contains(.get) { return Int(table[RouteMethods.get.index]) }
        return nil
    }

    private enum Comparison { case same, sameInOtherCase, different }

    private func compare(_ edge: RouteTree.Edge, with path: Span<UInt8>, at start: Int) -> Comparison {
        let end = start + Int(edge.count)
        guard end == path.count || (end < path.count && path[end] == .slash) else { return .different }
        let literal = tree.text.span.extracting(Int(edge.start)..<Int(edge.start + edge.count))
        let segment = path.extracting(start..<end)
        var difference: UInt8 = 0
        for offset in 0..<literal.count { difference |= literal[offset] ^ segment[offset] }
        return difference == 0 ? .same : Self.compareInAnyCase(literal, segment)
    }

    @inline(never)
    private static func compareInAnyCase(_ literal: Span<UInt8>, _ segment: Span<UInt8>) -> Comparison {
        for index in literal.indices where literal[index] != segment[index] {
            guard literal[index] ^ segment[index] == 0x20, literal[index].isLetter else { return .different }
        }
        return .sameInOtherCase
    }

    /// Whether the path, from the start of a segment, has anything that can be read in two ways.
    private static func isAmbiguous(_ path: Span<UInt8>, from start: Int) -> Bool {
        var segment = start
        var index = start
        while index <= path.count {
            if index == path.count || path[index] == .slash {
                // Only the last segment of the path may be empty.
                if index == segment, index < path.count { return true }
                if isDots(path, segment..<index) { return true }
                segment = index + 1
            } else if !path[index].isPlainInPath {
                return true
            }
            index += 1
        }
        return false
    }

    private static func isDots(_ path: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard range.count == 1 || range.count == 2 else { return false }
        return path[range.lowerBound] == UInt8(ascii: ".") && path[range.upperBound - 1] == UInt8(ascii: ".")
    }
}

extension UInt8 {
    /// `pchar` of RFC 3986 without percent-escapes and `;`, which some servers cut off as a parameter.
    var isPlainInPath: Bool {
        // One bit per byte 0x00-0x3F and 0x40-0x7F.
        let low: UInt64 = 0x27FF_7FD2_0000_0000
        let high: UInt64 = 0x47FF_FFFE_87FF_FFFF
        return self < 0x80 && (self < 0x40 ? low : high) &>> UInt64(self & 0x3F) & 1 == 1
    }
}
