package import HTTP
package import JSON
package import Policy

/// A request to the connector service of this process.
package struct UpstreamRequest: Sendable {
    package let method: HTTPMethod
    /// The request target as the client sent it.
    package let target: [UInt8]
    /// The variables of the route's pattern in the target.
    package let captures: RouteCaptures
    package let body: [UInt8]
    /// The body as JSON; `nil` if no stage has parsed it.
    package let bodyValue: JSONValue?
    /// The organization that the caller acts for.
    package let organization: String
    package let trace: TraceContext
}
