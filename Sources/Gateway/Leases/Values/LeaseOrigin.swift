/// The facts that a lease stores about the request that took it.
package struct LeaseOrigin: Equatable, Sendable {
    /// The path up to its first variable. Status polls use a path with the same start.
    package var pathStart: String
    /// The longest time that the upstream may take to respond; `nil` in a record of an older gateway.
    package var responseTimeout: Duration?

    /// The request may start an old job again: a retry.
    package var mayRestart: Bool

    package init(pathStart: String = "", responseTimeout: Duration? = nil, mayRestart: Bool = false) {
        self.pathStart = pathStart
        self.responseTimeout = responseTimeout
        self.mayRestart = mayRestart
    }
}
