/// The properties of a request for which a limit has separate buckets.
package struct LimitDimensions: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let organization = LimitDimensions(rawValue: 1)
    package static let connection = LimitDimensions(rawValue: 2)
    package static let token = LimitDimensions(rawValue: 4)
    /// One bucket for each route.
    package static let operation = LimitDimensions(rawValue: 8)

    /// The same as the protocol's default, but without calls of protocol witnesses.
    package func contains(_ member: LimitDimensions) -> Bool { rawValue & member.rawValue == member.rawValue }
}
