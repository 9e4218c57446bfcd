import Crypto
import Foundation
import TestSupport
import Testing

@testable import GatewayCommand

@Suite("Renewal of the gateway's own certificate")
struct LocalCertificateTests {
    private let day = 86_400

    @Test("Local certificate: it is renewed in the last third of its life, by the authority that clients know")
    func renewal() async throws {
        try await withTestFolder { folder in
            let state = try StateFolder(path: folder.state)
            defer { state.release() }
            let start = 1_800_000_000
            let first = try state.localIdentity(now: start)
            #expect(first.isNew && first.isNewAuthority)
            let authority = try contents(state.authorityFile)
            var certificate = try contents(first.identity.certificateFile)
            #expect(try !state.localIdentity(now: start + 59 * day).isNew)
            for now in stride(from: start + 61 * day, to: start + 3500 * day, by: 400 * day) {
                let renewed = try state.localIdentity(now: now)
                #expect(renewed.isNew && !renewed.isNewAuthority)
                #expect(try contents(renewed.identity.certificateFile) != certificate)
                certificate = try contents(renewed.identity.certificateFile)
                #expect(try !state.localIdentity(now: now + day).isNew)
            }
            #expect(try contents(state.authorityFile) == authority)
            // One that would end after its authority is made by another one.
            #expect(try state.localIdentity(now: start + 3600 * day).isNewAuthority)
            #expect(try contents(state.authorityFile) != authority)
        }
    }

    @Test("Local certificate: a certificate that does not fit its key is replaced")
    func tornPair() async throws {
        try await withTestFolder { folder in
            let state = try StateFolder(path: folder.state)
            defer { state.release() }
            let identity = try state.localIdentity(now: 1_800_000_000).identity
            let authorityKey = try Data(contentsOf: URL(fileURLWithPath: state.file("ca-key.pem")))
            try authorityKey.write(to: URL(fileURLWithPath: identity.keyFile))
            let again = try state.localIdentity(now: 1_800_000_000)
            #expect(again.isNew && !again.isNewAuthority)
            #expect(try !state.localIdentity(now: 1_800_000_000).isNew)
        }
    }

    private func contents(_ file: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: file)) }
}
