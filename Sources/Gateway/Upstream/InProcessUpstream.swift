package import Policy

/// The connector service of this process.
package protocol InProcessUpstream: JobDirectory {
    /// Whether the response to every GET and HEAD of the path that has these captures needs only memory.
    func respondsFromMemory(_ captures: RouteCaptures) -> Bool

    /// Responds to a request for which ``respondsFromMemory(_:)`` is true; returns `nil` if it cannot.
    func respondFromMemory(to request: consuming UpstreamRequest) -> UpstreamResponse?

    /// Responds to a request. May wait, but not beyond the request's deadline.
    func respond(to request: consuming UpstreamRequest) async throws(UpstreamFailure) -> UpstreamResponse
}

extension InProcessUpstream {
    package func respondsFromMemory(_ captures: RouteCaptures) -> Bool { false }
}
