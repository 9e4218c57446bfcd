/// The parts that a running gateway reloads independently of its policies.
package enum ReloadedPart: String, CaseIterable, Sendable { case upstream, certificates }

/// The reloads of one part.
package struct PartReloads: Sendable {
    /// The number of reloads that replaced the part.
    package var accepted = 0
    package var refused = 0
    /// When the last reload failed, in seconds since the epoch, and why; `nil` after a successful one.
    package var lastRefusal: (at: Int64, text: String)?

    package enum Outcome: Sendable {
        case unchanged
        case replaced
        case refused(String)
    }
}
