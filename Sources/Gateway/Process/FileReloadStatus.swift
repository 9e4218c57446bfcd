/// The files that a running gateway reloads besides its policies.
package enum ReloadedFiles: String, CaseIterable, Sendable {
    /// The secret and the certificates for connections to the upstream.
    case upstream
    /// The gateway's own certificates.
    case certificates
}

/// What became of the reloads of some files.
package struct FileReloadStatus: Sendable {
    /// The number of reloads that replaced them.
    package var accepted = 0
    /// The number of reloads that failed. The contents read before stay in use.
    package var refused = 0
    /// When the last reload failed, in seconds since the epoch, and why; `nil` after a successful one.
    package var lastRefusal: (at: Int64, text: String)?

    /// The outcome of one reload. `refused` has the reason, as a line for the operator.
    package enum Outcome: Sendable {
        case unchanged
        case replaced
        case refused(String)
    }
}
