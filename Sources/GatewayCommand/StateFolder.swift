import Crypto
import Foundation
import Gateway

/// The gateway's own folder: certificates it made, the demo token's hash, the connector service's data.
struct StateFolder {
    let path: String
    /// Holds the folder's lock as long as there is a copy of this value.
    private let lock: FileHandle

    struct Unusable: Error, CustomStringConvertible {
        let description: String
    }

    init(path: String) throws(Unusable) {
        self.path = path
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw Unusable(
                description:
                    "the state folder \(path) cannot be made (\(error.localizedDescription)): choose another with --state DIR"
            )
        }
        // Before anything in it is read or made: of two first starts at once only one may make certificates and a token.
        guard let lock = FileHandle(forReadingAtPath: path), flock(lock.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw Unusable(
                description:
                    "the state folder \(path) is in use by another process: stop it, or choose another with --state DIR"
            )
        }
        self.lock = lock
    }

    /// Lets another gateway have the folder: when this one has stopped.
    func release() { try? lock.close() }

    func file(_ name: String) -> String { path + "/" + name }

    var authorityFile: String { file("ca.pem") }
    var demoTokenFile: String { file("demo-token.json5") }

    /// The certificate of a first run, made once: a local authority and a server certificate for this machine's own
    /// names.
    func localIdentity(now: Int) throws(Unusable) -> (identity: TLSIdentity, isNew: Bool) {
        let identity = TLSIdentity(certificateFile: file("server.pem"), keyFile: file("server-key.pem"))
        let isComplete = [identity.certificateFile, identity.keyFile, authorityFile]
            .allSatisfy(FileManager.default.fileExists(atPath:))
        if isComplete { return (identity, false) }
        do {
            let authority = try LocalAuthority.makeAuthority(commonName: "connector gateway local authority", now: now)
            let server = try LocalAuthority.issueServerCertificate(
                commonName: "localhost", names: ["DNS:localhost", "IP:127.0.0.1", "IP:::1"], signedBy: authority,
                now: now)
            // The authority's key is not kept: nobody can sign another certificate that clients of this one would trust.
            try write(authority.certificate, to: authorityFile, permissions: 0o644)
            try write(server.key, to: identity.keyFile, permissions: 0o600)
            try write(server.certificate + authority.certificate, to: identity.certificateFile, permissions: 0o644)
        } catch let error as Unusable { throw error } catch {
            throw Unusable(description: "no certificate could be made: \(error)")
        }
        return (identity, true)
    }

    /// The next `localIdentity` makes another one.
    func forgetLocalIdentity() {
        for name in ["server.pem", "server-key.pem"] { try? FileManager.default.removeItem(atPath: file(name)) }
    }

    /// Makes the demo token where there is none yet, and returns its text: the only time anyone can see it. `show` is
    /// called before the token becomes valid, so that it is not lost when something fails later.
    func makeDemoToken(organization: String, show: (String) -> Void) throws(Unusable) -> String? {
        guard !FileManager.default.fileExists(atPath: demoTokenFile) else { return nil }
        let token = TokenText.fresh()
        let hash = SHA256.hash(Array(token.utf8).span).map { String(format: "%02x", $0) }.joined()
        let text = """
            // Made at the first start, for trying the gateway out. Delete this file and the token is void.
            {
              organizations: {
                \(organization): {
                  tokens: {
                    demo: { sha256: "\(hash)", scopes: ["connectors:read", "connectors:write", "connectors:run"] },
                  },
                },
              },
            }

            """
        show(token)
        try write(Array(text.utf8), to: demoTokenFile, permissions: 0o600)
        return token
    }

    /// Writes whole or not at all, with the permissions from the first byte on.
    private func write(_ bytes: [UInt8], to path: String, permissions: Int) throws(Unusable) {
        let temporary = path + ".new"
        let manager = FileManager.default
        try? manager.removeItem(atPath: temporary)
        guard manager.createFile(atPath: temporary, contents: Data(bytes), attributes: [.posixPermissions: permissions])
        else {
            throw Unusable(description: "\(temporary) cannot be written: check the disk and the folder's permissions")
        }
        try? manager.removeItem(atPath: path)
        do { try manager.moveItem(atPath: temporary, toPath: path) } catch {
            throw Unusable(description: "\(path) cannot be written (\(error.localizedDescription))")
        }
    }
}
