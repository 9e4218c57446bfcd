package import HTTP
package import JSON
package import Policy

/// A request to the connector service of this process.
///
/// Noncopyable, like ``UpstreamResponse``: its receiver takes what it holds, and no reference is counted on the way.
package struct UpstreamRequest: ~Copyable, Sendable {
    package let method: HTTPMethod
    /// The request target as the client sent it.
    package var target: [UInt8]
    /// The variables of the route's pattern in the target.
    package let captures: RouteCaptures
    /// The whole body, without framing; empty if there is none.
    package var body: [UInt8]
    /// The body as JSON; `nil` if no stage has parsed it.
    package var bodyValue: JSONValue?
    /// The organization that the caller acts for.
    package let organization: String
    package let trace: TraceContext
}
