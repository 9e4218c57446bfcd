internal import Bytes

/// The patterns of all routes as a tree over path segments.
///
/// Flat arrays of trivial values: a search needs no reference counting and no allocation.
struct RouteTree: Sendable {
    let nodes: [Node]
    /// Edges of one bucket are adjacent.
    let edges: [Edge]
    /// The position of the first edge of each bucket, then the number of edges.
    let buckets: [Int32]
    /// The literal segments of the edges, joined.
    let text: [UInt8]
    let methods: [MethodTable]
    let ends: [PatternEnd]

    /// The beginning of a path. A position in an array is -1 if there is none.
    struct Node {
        /// The buckets of its literal segments: their number is a power of two, and a segment's hash selects one.
        var firstBucket: Int32 = -1
        var bucketMask: UInt32 = 0
        /// The child for a variable segment.
        var capture: Int32 = -1
        /// The patterns that end here, and those that continue with `**`: positions in `methods`.
        var exactMatches: Int32 = -1
        var prefixMatches: Int32 = -1
        /// The family of all routes below, `other` if they differ.
        var family: RouteFamily?
    }

    /// The literal segment that leads to a child.
    struct Edge {
        var start: Int32
        var count: Int32
        var child: Int32
        /// If the segment is this one, nothing else at the node can match: no variable, no `**`, no other spelling.
        var isOnlyCandidate = false
    }

    /// The pattern of each method, as a position in `ends`.
    struct MethodTable {
        var methods: RouteMethods = []
        var ends: (Int32, Int32, Int32, Int32, Int32, Int32) = (-1, -1, -1, -1, -1, -1)

        subscript(_ index: Int) -> Int32 {
            get {
                switch index {
                case 0: ends.0
                case 1: ends.1
                case 2: ends.2
                case 3: ends.3
                case 4: ends.4
                default: ends.5
                }
            }
            set {
                switch index {
                case 0: ends.0 = newValue
                case 1: ends.1 = newValue
                case 2: ends.2 = newValue
                case 3: ends.3 = newValue
                case 4: ends.4 = newValue
                default: ends.5 = newValue
                }
            }
        }
    }

    /// A whole pattern: its route, and the segments of its captures.
    struct PatternEnd {
        var route: Int32
        /// The position in `servicePaths`; -1: none.
        var servicePath: Int32
        var organization: Int8 = -1
        var connection: Int8 = -1
        var job: Int8 = -1
    }

    /// The edges of a node that can match the segment of `path` at `start`, in any case of its letters.
    func edges(of node: Node, for path: Span<UInt8>, at start: Int) -> Range<Int> {
        var bucket = Int(node.firstBucket)
        if node.bucketMask > 0 {
            var hash = SegmentHash()
            var index = start
            while index < path.count, path[index] != .slash {
                hash.combine(path[index])
                index += 1
            }
            bucket += Int(hash.value & node.bucketMask)
        }
        return Int(buckets[bucket])..<Int(buckets[bucket + 1])
    }

    /// FNV-1a of a segment, the same for all cases of its letters.
    ///
    /// A request cannot make a bucket longer: buckets only have segments of the policies.
    struct SegmentHash {
        private var state: UInt32 = 0x811C_9DC5

        mutating func combine(_ byte: UInt8) { state = (state ^ UInt32(byte | 0x20)) &* 0x0100_0193 }

        var value: UInt32 { state ^ state >> 16 }
    }
}
