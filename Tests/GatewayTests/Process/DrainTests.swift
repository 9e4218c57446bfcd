import Testing

@testable import Gateway

@Suite("Drain")
struct DrainTests {
    @Test("Drain: it is announced before connections close, and there is no way back")
    func order() {
        let drain = Drain()
        #expect(!drain.isAnnounced && !drain.isClosing)
        drain.begin(.announced)
        #expect(drain.isAnnounced && !drain.isClosing)
        drain.begin(.closing)
        #expect(drain.isAnnounced && drain.isClosing)
        drain.begin(.announced)
        #expect(drain.isClosing)
    }
}
