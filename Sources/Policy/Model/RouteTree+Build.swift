internal import Bytes

extension RouteTree {
    /// `patterns[i]` are the patterns of `routes[i]`, no two of them the same.
    init(routes: [Route], patterns: [[RoutePattern]], servicePaths: [String]) {
        var builder = Builder()
        let servicePaths = Dictionary(zip(servicePaths, servicePaths.indices)) { first, _ in first }
        for (route, patterns) in zip(routes, patterns) {
            for pattern in patterns {
                builder.insert(pattern, of: route, servicePath: servicePaths[pattern.path] ?? -1)
            }
        }
        self = builder.tree()
    }

    /// The tree while patterns are added to it.
    private struct Builder {
        private var nodes = [Node()]
        private var methods: [MethodTable] = []
        private var ends: [PatternEnd] = []
        /// For each node, the literal segments that lead to its children.
        private var literals: [[(name: [UInt8], child: Int)]] = [[]]
        private var children: [ChildKey: Int] = [:]

        private struct ChildKey: Hashable {
            let node: Int
            let name: [UInt8]
        }

        mutating func insert(_ pattern: RoutePattern, of route: Route, servicePath: Int) {
            var end = PatternEnd(route: Int32(route.index), servicePath: Int32(servicePath))
            var node = 0
            add(route.family, at: node)
            for (depth, segment) in pattern.segments.enumerated() {
                switch segment {
                case .literal(let bytes):
                    node = child(of: node, named: bytes)
                case .capture(let capture):
                    switch capture {
                    case .organization: end.organization = Int8(depth)
                    case .connection: end.connection = Int8(depth)
                    case .job: end.job = Int8(depth)
                    case .any: break
                    }
                    if nodes[node].capture < 0 { nodes[node].capture = Int32(newNode()) }
                    node = Int(nodes[node].capture)
                case .rest:
                    add(end, pattern.methods, to: \.prefixMatches, of: node)
                    return
                }
                add(route.family, at: node)
            }
            add(end, pattern.methods, to: \.exactMatches, of: node)
        }

        private mutating func add(
            _ end: PatternEnd, _ allowed: RouteMethods, to table: WritableKeyPath<Node, Int32>, of node: Int
        ) {
            if nodes[node][keyPath: table] < 0 {
                nodes[node][keyPath: table] = Int32(methods.count)
                methods.append(MethodTable())
            }
            let position = Int(nodes[node][keyPath: table])
            for (method, _) in RouteMethods.named where allowed.contains(method) {
                // A pattern with the method spelled out wins over one with `*`.
                if methods[position].methods.contains(method), allowed == .any { continue }
                methods[position].methods.insert(method)
                methods[position][method.index] = Int32(ends.count)
            }
            ends.append(end)
        }

        private mutating func child(of node: Int, named name: [UInt8]) -> Int {
            let key = ChildKey(node: node, name: name)
            if let known = children[key] { return known }
            let child = newNode()
            children[key] = child
            literals[node].append((name, child))
            return child
        }

        private mutating func newNode() -> Int {
            nodes.append(Node())
            literals.append([])
            return nodes.count - 1
        }

        private mutating func add(_ family: RouteFamily, at node: Int) {
            nodes[node].family = nodes[node].family.map { $0 == family ? family : .other } ?? family
        }

        /// Lays the edges out by node and bucket.
        func tree() -> RouteTree {
            var nodes = nodes
            var edges: [Edge] = []
            var starts: [Int32] = []
            var text: [UInt8] = []
            for (node, literals) in literals.enumerated() {
                let count = Self.buckets(for: literals.count)
                nodes[node].firstBucket = Int32(starts.count)
                nodes[node].bucketMask = UInt32(count - 1)
                var buckets: [[(name: [UInt8], child: Int)]] = Array(repeating: [], count: count)
                // Of two that differ in case only, the later one is compared first.
                for literal in literals.reversed() {
                    buckets[Int(Self.hash(literal.name)) & (count - 1)].append(literal)
                }
                let isOpen = nodes[node].capture >= 0 || nodes[node].prefixMatches >= 0
                for bucket in buckets {
                    starts.append(Int32(edges.count))
                    for (name, child) in bucket {
                        let spellings = bucket.count { $0.name.map(Self.folded) == name.map(Self.folded) }
                        edges.append(
                            Edge(
                                start: Int32(text.count), count: Int32(name.count), child: Int32(child),
                                isOnlyCandidate: !isOpen && spellings == 1))
                        text += name
                    }
                }
            }
            starts.append(Int32(edges.count))
            return RouteTree(nodes: nodes, edges: edges, buckets: starts, text: text, methods: methods, ends: ends)
        }

        /// One bucket for up to four literals, which are compared faster than hashed; else at least two for each
        /// literal.
        private static func buckets(for literals: Int) -> Int {
            var count = 1
            while literals > 4, count < 2 * literals { count *= 2 }
            return count
        }

        private static func hash(_ name: [UInt8]) -> UInt32 {
            var hash = SegmentHash()
            for byte in name { hash.combine(byte) }
            return hash.value
        }

        private static func folded(_ byte: UInt8) -> UInt8 { byte | 0x20 }
    }
}
