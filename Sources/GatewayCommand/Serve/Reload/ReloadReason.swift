/// Why the gateway reads its files again.
enum ReloadReason: Hashable, Sendable {
    case signal
    case changedFile
    /// Nothing changed, but the gateway's own certificate may be due for renewal.
    case passedTime
}
