/// The properties of a request for which a limit has separate buckets.
package struct LimitDimensions: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    // Inlinable, like all of this: the limiter looks at the dimensions of each limit of each request.
    @inlinable @inline(__always)
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    @inlinable @inline(__always) package static var organization: LimitDimensions { LimitDimensions(rawValue: 1) }
    @inlinable @inline(__always) package static var connection: LimitDimensions { LimitDimensions(rawValue: 2) }
    @inlinable @inline(__always) package static var token: LimitDimensions { LimitDimensions(rawValue: 4) }
    /// One bucket for each route.
    @inlinable @inline(__always) package static var operation: LimitDimensions { LimitDimensions(rawValue: 8) }

    /// The same as the protocol's default, but without calls of protocol witnesses.
    @inlinable
    package func contains(_ member: LimitDimensions) -> Bool { rawValue & member.rawValue == member.rawValue }
}
