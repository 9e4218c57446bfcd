import Bytes
import Crypto
import Foundation
import Gateway
import Transport

/// The folder of the gateway: the certificates that it makes, the hash of the demo token, and the data of the connector
/// service.
struct StateFolder: Sendable {
    let path: String
    /// Locks the folder until `release`, or until the process ends.
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
                    "the state folder \(path) cannot be created (\(error.localizedDescription)): choose another folder with --state DIR"
            )
        }
        // The lock comes first: if two gateways start at once, only one may make certificates and a token.
        guard let lock = FileHandle(forReadingAtPath: path) else { throw StateFolder.accessError(path) }
        guard flock(lock.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw Unusable(
                description: errno == EWOULDBLOCK
                    ? "the state folder \(path) is in use by another process: stop that process, or choose another folder with --state DIR"
                    : "the state folder \(path) cannot be locked (\(SystemError("flock"))): choose another folder with --state DIR"
            )
        }
        guard FileManager.default.isWritableFile(atPath: path) else { throw StateFolder.accessError(path) }
        self.lock = lock
    }

    /// The error for a path that exists and cannot be used: it is not a folder, or the user has no permission.
    private static func accessError(_ path: String) -> Unusable {
        guard PolicyFolder(path: path).isFolder(path) else {
            return Unusable(description: "the state folder \(path) is not a folder: choose a folder with --state DIR")
        }
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        let owner = attributes?[.ownerAccountID].map { " of user \($0)" } ?? ""
        return Unusable(
            description:
                "user \(geteuid()) cannot read and write the state folder \(path)\(owner): start the gateway as its owner, give the folder to this user (chown -R), or choose another folder with --state DIR"
        )
    }

    /// Unlocks the folder, after the gateway has stopped.
    func release() { try? lock.close() }

    func file(_ name: String) -> String { path + "/" + name }

    var authorityFile: String { file("ca.pem") }
    private var authorityKeyFile: String { file("ca-key.pem") }
    var demoTokenFile: String { file("demo-token.json5") }

    /// A certificate that the gateway made for itself.
    struct LocalIdentity {
        let identity: TLSIdentity
        /// This call made the certificate.
        let isNew: Bool
        /// This call made the authority too: clients need the new one.
        let isNewAuthority: Bool
    }

    /// The certificate for the names of this machine, signed by a local authority. The gateway makes it if there is
    /// none, and makes a new one in the last third of its lifetime. The authority stays the same.
    func localIdentity(now: Int) throws(Unusable) -> LocalIdentity {
        let identity = TLSIdentity(certificateFile: file("server.pem"), keyFile: file("server-key.pem"))
        if lives(identity.certificateFile, untilAfter: now + LocalAuthority.serverDays * 86_400 / 3),
            FileManager.default.fileExists(atPath: authorityFile),
            (try? TLSContext(identities: [identity], keys: TicketKeys())) != nil
        {
            return LocalIdentity(identity: identity, isNew: false, isNewAuthority: false)
        }
        do {
            let (authority, isNewAuthority) = try authority(now: now)
            let server = try LocalAuthority.issueServerCertificate(
                commonName: "localhost", names: ["DNS:localhost", "IP:127.0.0.1", "IP:::1"], signedBy: authority,
                now: now)
            try write(server.key, to: identity.keyFile, permissions: 0o600)
            try write(server.certificate + authority.certificate, to: identity.certificateFile, permissions: 0o644)
            return LocalIdentity(identity: identity, isNew: true, isNewAuthority: isNewAuthority)
        } catch let error as Unusable { throw error } catch {
            throw Unusable(description: "the gateway cannot make its own certificate: \(error)")
        }
    }

    /// The authority that clients already have, or a new authority if that one cannot sign any more.
    private func authority(now: Int) throws -> (PEMIdentity, isNew: Bool) {
        let manager = FileManager.default
        if lives(authorityFile, untilAfter: now + LocalAuthority.serverDays * 86_400),
            let certificate = manager.contents(atPath: authorityFile),
            let key = manager.contents(atPath: authorityKeyFile)
        {
            return (PEMIdentity(certificate: Array(certificate), key: Array(key)), false)
        }
        // The key is stored, for the next certificate. A thief of this key gains no more than with the key of the
        // server, because the authority can sign for these names only.
        let authority = try LocalAuthority.makeAuthority(
            commonName: "connector gateway local authority",
            onlyFor: [
                "DNS:localhost", "IP:127.0.0.1/255.255.255.255",
                "IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            ], now: now)
        try write(authority.key, to: authorityKeyFile, permissions: 0o600)
        try write(authority.certificate, to: authorityFile, permissions: 0o644)
        return (authority, true)
    }

    private func lives(_ file: String, untilAfter time: Int) -> Bool {
        guard let bytes = FileManager.default.contents(atPath: file) else { return false }
        return (try? LocalAuthority.end(of: Array(bytes))).map { $0 > time } ?? false
    }

    /// Makes the demo token if there is none, and returns its text, which is not stored. `show` prints the token before
    /// it becomes valid, so that a later error does not lose it.
    func makeDemoToken(organization: String, show: (String) -> Void) throws(Unusable) -> String? {
        guard !FileManager.default.fileExists(atPath: demoTokenFile) else { return nil }
        let token = APIToken.fresh()
        let hash = String(hex: SHA256.hash(Array(token.utf8).span))
        let text = """
            // The first start made this token, for trials. To revoke the token, delete this file.
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

    /// Replaces the file as a whole. The new file has the permissions before it has contents.
    private func write(_ bytes: [UInt8], to path: String, permissions: Int) throws(Unusable) {
        let temporary = path + ".new"
        let manager = FileManager.default
        try? manager.removeItem(atPath: temporary)
        guard manager.createFile(atPath: temporary, contents: Data(bytes), attributes: [.posixPermissions: permissions])
        else {
            throw Unusable(
                description: "\(temporary) cannot be written: check the disk and the permissions of the folder")
        }
        try? manager.removeItem(atPath: path)
        do { try manager.moveItem(atPath: temporary, toPath: path) } catch {
            throw Unusable(
                description:
                    "\(path) cannot be written (\(error.localizedDescription)): check the disk and the permissions of the folder"
            )
        }
    }
}
