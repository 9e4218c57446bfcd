/// What a request gets if another operation has its connection.
package struct ConflictRule: Equatable, Sendable {
    package var response: Response
    /// The longest time that a request may wait for the connection; `nil`: requests never wait.
    package var maxWait: Duration?

    package enum Response: String, CaseIterable, Sendable {
        /// 409.
        case fail
        /// The running job, if it is of the same kind.
        case attach
        /// The running job, whatever it does: the request is not needed while something runs.
        case skip
        /// A place in the queue for the connection.
        case wait
    }

    package init(_ response: Response = .fail, maxWait: Duration? = nil) {
        self.response = response
        self.maxWait = maxWait
    }
}
