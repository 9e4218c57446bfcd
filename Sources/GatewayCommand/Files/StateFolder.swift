import Bytes
import Crypto
import Foundation
import Gateway
import Transport

/// The gateway's own folder: certificates it made, the demo token's hash, the connector service's data.
struct StateFolder: Sendable {
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
        guard let lock = FileHandle(forReadingAtPath: path) else { throw StateFolder.notOpen(path) }
        guard flock(lock.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw Unusable(
                description: errno == EWOULDBLOCK
                    ? "the state folder \(path) is in use by another process: stop it, or choose another with --state DIR"
                    : "the state folder \(path) cannot be locked (\(SystemError("flock"))): choose another with --state DIR"
            )
        }
        guard FileManager.default.isWritableFile(atPath: path) else { throw StateFolder.notOpen(path) }
        self.lock = lock
    }

    /// Why a folder that is there is not this user's to use.
    private static func notOpen(_ path: String) -> Unusable {
        guard PolicyFolder(path: path).isFolder(path) else {
            return Unusable(description: "the state folder \(path) is no folder: choose another with --state DIR")
        }
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        let owner = attributes?[.ownerAccountID].map { " of user \($0)" } ?? ""
        return Unusable(
            description:
                "the state folder \(path)\(owner) may not be read and written by user \(geteuid()): start as its owner, give this user the folder (chown -R), or choose another with --state DIR"
        )
    }

    /// Lets another gateway have the folder: when this one has stopped.
    func release() { try? lock.close() }

    func file(_ name: String) -> String { path + "/" + name }

    var authorityFile: String { file("ca.pem") }
    private var authorityKeyFile: String { file("ca-key.pem") }
    var demoTokenFile: String { file("demo-token.json5") }

    /// A certificate that the gateway made for itself.
    struct LocalIdentity {
        let identity: TLSIdentity
        /// Made just now.
        let isNew: Bool
        /// So is the authority, which clients have to be given anew.
        let isNewAuthority: Bool
    }

    /// The certificate for this machine's own names, of a local authority. It is made where there is none, and anew when it is
    /// in the last third of its life; the authority stays.
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
            throw Unusable(description: "no certificate could be made: \(error)")
        }
    }

    /// The authority whose certificate clients were given, or a new one where it cannot sign any more.
    private func authority(now: Int) throws -> (PEMIdentity, isNew: Bool) {
        let manager = FileManager.default
        if lives(authorityFile, untilAfter: now + LocalAuthority.serverDays * 86_400),
            let certificate = manager.contents(atPath: authorityFile),
            let key = manager.contents(atPath: authorityKeyFile)
        {
            return (PEMIdentity(certificate: Array(certificate), key: Array(key)), false)
        }
        // Its key is kept, for the next certificate. Whoever steals it can do nothing that the server's own key cannot do: the
        // authority vouches for these names only.
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

    /// Makes the demo token where there is none yet, and returns its text: the only time anyone can see it. `show` is
    /// called before the token becomes valid, so that it is not lost when something fails later.
    func makeDemoToken(organization: String, show: (String) -> Void) throws(Unusable) -> String? {
        guard !FileManager.default.fileExists(atPath: demoTokenFile) else { return nil }
        let token = APIToken.fresh()
        let hash = String(hex: SHA256.hash(Array(token.utf8).span))
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
