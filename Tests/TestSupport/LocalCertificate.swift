package import Crypto
package import Foundation

/// A certificate for the names of this machine, and the authority that issued it.
package struct LocalCertificate: Sendable {
    package let authority: PEMIdentity
    package let server: PEMIdentity

    package init() throws {
        let now = Int(Date().timeIntervalSince1970)
        authority = try LocalAuthority.makeAuthority(commonName: "authority of a test", now: now)
        server = try LocalAuthority.issueServerCertificate(
            commonName: "localhost", names: ["DNS:localhost", "IP:127.0.0.1"], signedBy: authority, now: now)
    }
}

/// The same in the files of a temporary folder, and the TLS context of a server.
package final class LocalCertificateFiles: Sendable {
    package let context: TLSContext
    package let authorityFile: String
    package let folder: URL

    package init() throws {
        let made = try LocalCertificate()
        folder = FileManager.default.temporaryDirectory.appending(path: "gateway-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let files = ["ca.pem", "server.pem", "server.key"].map { [folder] in folder.appending(path: $0) }
        for (file, bytes) in zip(files, [made.authority.certificate, made.server.certificate, made.server.key]) {
            try Data(bytes).write(to: file)
        }
        authorityFile = files[0].path
        context = try TLSContext(
            identities: [TLSIdentity(certificateFile: files[1].path, keyFile: files[2].path)], keys: TicketKeys())
    }

    deinit { try? FileManager.default.removeItem(at: folder) }
}
