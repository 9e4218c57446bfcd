import Foundation
import Synchronization

/// Why policies and certificates are read again. Whoever asks does so by SIGHUP, for which the thread that owns the service
/// waits.
final class ReloadCause: Sendable {
    private let isChangedFile = Atomic<Bool>(false)

    /// Asks for a reload because a file changed. From any thread.
    func fileChanged() {
        isChangedFile.store(true, ordering: .releasing)
        kill(ProcessInfo.processInfo.processIdentifier, SIGHUP)
    }

    /// What asked for the reload that begins now, as the log tells it. Of several at once it is the changed file.
    func take() -> String {
        isChangedFile.exchange(false, ordering: .acquiring) ? "a file changed" : "SIGHUP"
    }
}
