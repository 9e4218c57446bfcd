internal import Bytes

/// The patterns of all routes as a tree over path segments.
///
/// It lies in flat arrays of trivial values, so that a search walks it without reference counting and without allocation.
struct RouteTree: Sendable {
    let nodes: [Node]
    /// Those of one bucket stand together.
    let edges: [Edge]
    /// Where the edges of each bucket begin, and at the end where the last ones end.
    let buckets: [Int32]
    /// What the edges are named.
    let text: [UInt8]
    let methods: [MethodTable]
    let ends: [PatternEnd]

    /// A point in a path. Positions in the arrays are -1 where there is nothing.
    struct Node {
        /// The buckets with the edges of its literal segments: a power of two, of which the hash of a segment picks one.
        var firstBucket: Int32 = -1
        var bucketMask: UInt32 = 0
        /// The child behind a variable segment.
        var capture: Int32 = -1
        /// What ends here, and what goes on with `**`: positions in `methods`.
        var here: Int32 = -1
        var rest: Int32 = -1
        /// The family of all routes below, `other` if they differ.
        var family: RouteFamily?
    }

    /// A literal segment to a child.
    struct Edge {
        var start: Int32
        var count: Int32
        var child: Int32
        /// Nothing else can be found at its node once the segment is this one: no variable, no `**`, no other spelling.
        var isOnlyWay = false
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

    /// A whole pattern: its route, and which segments its captures are.
    struct PatternEnd {
        var route: Int32
        /// Which of the service's paths it is; -1: none.
        var servicePath: Int32
        var organization: Int8 = -1
        var connection: Int8 = -1
        var job: Int8 = -1
    }

    /// The edges of a node among which the segment of `path` at `start` is, if it is there at all, in any case of its letters.
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
    /// A request cannot make a bucket longer: only the policy's own segments are in them.
    struct SegmentHash {
        private var state: UInt32 = 0x811C_9DC5

        mutating func combine(_ byte: UInt8) { state = (state ^ UInt32(byte | 0x20)) &* 0x0100_0193 }

        var value: UInt32 { state ^ state >> 16 }
    }
}
