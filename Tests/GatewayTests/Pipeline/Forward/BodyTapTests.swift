import HTTP
import Testing
@testable import Gateway
@testable import Policy
@testable import Transport

@Suite("The copy of a response body")
struct BodyTapTests {
    @Test("BodyTap: a body that is not wanted is not kept")
    func unwanted() {
        var copy = BodyTap(isWanted: false, holdsBack: false)
        #expect(copy.takes(1) == false)
        #expect(copy.plain == [])
    }

    @Test("BodyTap: a body up to the limit is kept whole; a longer one is not held back any more")
    func limit() {
        var copy = BodyTap(isWanted: true, holdsBack: true)
        #expect(copy.takes(copy.limit) == true)
        #expect(copy.holdsBack)
        #expect(copy.takes(copy.limit + 1) == false)
        #expect(!copy.holdsBack)
        #expect(copy.takes(1) == false)
        #expect(copy.plain == [])
    }

    @Test("BodyTap: a body that cannot be decoded has no copy")
    func damaged() {
        let copy = BodyTap(isWanted: true, holdsBack: true, coding: .gzip)
        #expect(copy.plain == [])
    }
}

@Suite("Trusted proxies")
struct TrustedProxyTests {
    private func policies(_ ranges: String) throws -> WorkerPolicies {
        try TestPipeline.compiledPolicies("gateway: { trustedProxies: [\(ranges)] },")
    }

    @Test("IdentityFields: no peer is trusted if the policy names none")
    func nobody() throws {
        let policies = try policies("")
        for peer in ["127.0.0.1", "::1", "10.0.0.1", "", "x"] { #expect(!policies.trusts(peer)) }
    }

    @Test("IdentityFields: peers in a range are trusted, whichever address family the socket reports")
    func ranges() throws {
        let policies = try policies(#""10.0.0.0/9", "2001:db8::/32", "::1""#)
        for peer in ["10.0.0.1", "10.127.255.255", "::ffff:10.1.1.1", "2001:db8::9", "::1"] {
            #expect(policies.trusts(peer), "\(peer)")
        }
        for peer in ["10.128.0.0", "11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1", "::2", "", "10.0.0.1 ", "10.0.0"] {
            #expect(!policies.trusts(peer), "\(peer)")
        }
    }
}
