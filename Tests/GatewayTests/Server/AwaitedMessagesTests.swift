import Synchronization
import Testing

@testable import Gateway

@Suite("Awaited messages")
struct AwaitedMessagesTests {
    @Test("AwaitedMessages: a sender resumes when its message has been taken")
    func taken() async {
        let messages = AwaitedMessages()
        await messages.wait { taken in Task { taken() } }
        await messages.wait { taken in
            // Twice counts once.
            taken()
            taken()
        }
    }

    @Test("AwaitedMessages: a sender whose loop ends resumes, and so does one that comes later")
    func ended() async {
        let messages = AwaitedMessages()
        let late = Mutex<(@Sendable () -> Void)?>(nil)
        await messages.wait { taken in
            late.withLock { $0 = taken }
            Task { messages.end() }
        }
        await messages.wait { _ in Issue.record("nothing is sent any more") }
        // The loop took it all the same.
        late.withLock { $0 }?()
    }
}
