package import Policy

/// The connector service of this process.
package protocol InProcessUpstream: JobDirectory {
    /// Whether `tryRespond` responds to every GET and HEAD of the path that has these captures.
    func respondsFromMemory(_ captures: RouteCaptures) -> Bool

    /// Responds to a request that needs only memory; returns `nil` if the response requires waiting.
    func tryRespond(to request: UpstreamRequest) -> UpstreamResponse?

    /// Responds to a request. May wait, but not beyond the request's deadline.
    func respond(to request: UpstreamRequest) async throws(UpstreamFailure) -> UpstreamResponse
}

extension InProcessUpstream {
    package func respondsFromMemory(_ captures: RouteCaptures) -> Bool { false }
}
