import Glibc
import Testing

@testable import Transport

@Suite("Signals of a service")
struct SignalsTests {
    @Test("Signals that other servers know are taken, and mean an end, a reload, or nothing")
    func kinds() async {
        // A thread of its own: what is blocked there stays blocked.
        let kinds = await withCheckedContinuation { continuation in
            _ = WorkThread.detach(name: "signals") {
                let signals = Signals()
                let kinds = [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2].map { number in
                    pthread_kill(pthread_self(), number)
                    return signals.wait(.seconds(5))
                }
                continuation.resume(returning: kinds + [signals.wait(.zero)])
            }
        }
        #expect(
            kinds == [.terminate, .terminate, .terminate, .reload, .unused("SIGUSR1"), .unused("SIGUSR2"), nil])
    }
}
