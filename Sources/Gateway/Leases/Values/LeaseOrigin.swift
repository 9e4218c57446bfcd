/// What a lease has to remember of the request that took it.
package struct LeaseOrigin: Equatable, Sendable {
    /// The path up to its first variable: questions go to a path that begins the same way.
    package var pathStart: String
    /// How long the upstream may take to answer it; `nil` in what an older gateway wrote.
    package var responseTimeout: Duration?

    /// It may start an old job again: a retry.
    package var mayRestart: Bool

    package init(pathStart: String = "", responseTimeout: Duration? = nil, mayRestart: Bool = false) {
        self.pathStart = pathStart
        self.responseTimeout = responseTimeout
        self.mayRestart = mayRestart
    }
}
