/// What a running gateway takes over anew besides its policies, each by itself.
package enum ReloadedPart: String, CaseIterable, Sendable { case upstream, certificates }

/// What became of the attempts to take over one part anew.
package struct PartReloads: Sendable {
    /// How often it was replaced.
    package var accepted = 0
    package var refused = 0
    /// Why the last attempt failed, in seconds since the epoch; `nil` after a good one.
    package var lastRefusal: (at: Int64, text: String)?

    package enum Outcome: Sendable {
        case unchanged
        case replaced
        case refused(String)
    }
}
