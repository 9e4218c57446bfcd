/// Why the gateway reads its files again.
enum ReloadReason: Hashable, Sendable {
    case signal
    case changedFile
    /// It is time to check whether the gateway must renew its own certificate. The other files are not read.
    case certificateCheck
}
