import Bytes
import Crypto
import Foundation
import Gateway
import Policy

/// Reads the files that the `upstream` block of the policy names: secrets, authorities and the client certificate.
struct UpstreamSource {
    let policyFolder: String

    /// The configuration of a remote upstream. Throws if a file cannot be used.
    func load(_ settings: UpstreamSettings) throws(StartupError) -> UpstreamConfiguration {
        // The fingerprint comes first: a file that changes before it is read for use no longer matches, and is read
        // again.
        let fingerprint = fingerprint(settings)
        var credential: SecretField?
        if case .secret(let secret) = settings.credential { credential = try read(secret) }
        let own: SecretField?
        switch settings.ownCredential {
        case .asCredential: own = credential
        case .none: own = nil
        case .secret(let secret): own = try read(secret)
        }
        return UpstreamConfiguration(
            settings: settings, tls: settings.endpoints.contains(where: \.isTLS) ? try context(settings.tls) : nil,
            credential: credential, ownCredential: own, fingerprint: fingerprint)
    }

    private func read(_ secret: UpstreamSettings.Secret) throws(StartupError) -> SecretField {
        let path = resolve(secret.file)
        guard let data = FileManager.default.contents(atPath: path) else {
            throw StartupError(
                line:
                    "\(secret.source): the secret file \(path) cannot be read: make it readable for the user of the gateway"
            )
        }
        var value = Array(data)
        while let last = value.last, [.tab, .lineFeed, .carriageReturn, .space].contains(last) { value.removeLast() }
        guard let field = SecretField(header: secret.header, value: value) else {
            throw StartupError(
                line:
                    "\(secret.source): the secret file \(path) is empty or has control characters: write the secret as one line"
            )
        }
        return field
    }

    private func context(_ tls: UpstreamSettings.TLS) throws(StartupError) -> TLSClientContext {
        do throws(TLSError) {
            return try TLSClientContext(
                .init(
                    authorityFile: tls.authorities.map(resolve),
                    certificateFile: (tls.clientCertificate?.certificate).map(resolve),
                    keyFile: (tls.clientCertificate?.key).map(resolve)))
        } catch {
            let files = files(tls).joined(separator: ", ")
            throw StartupError(
                line:
                    "gateway.upstream.tls: \(files.isEmpty ? "the system's authorities" : files) cannot be used (\(error)): replace the file, or name another one"
            )
        }
    }

    /// The hashes of the files: they tell whether a file has changed.
    private func fingerprint(_ settings: UpstreamSettings) -> [UInt8] {
        var bytes: [UInt8] = []
        for file in files(settings) {
            bytes += SHA256.hash(Array(FileManager.default.contents(atPath: file) ?? Data()).span)
        }
        return bytes
    }

    /// The folders of the files that the block names. The gateway watches them for changes.
    func folders(_ settings: UpstreamSettings?) -> [String] {
        guard let settings else { return [] }
        return Array(Set(files(settings).map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }))
    }

    private func files(_ settings: UpstreamSettings) -> [String] {
        var files = files(settings.tls)
        if case .secret(let secret) = settings.credential { files.append(resolve(secret.file)) }
        if case .secret(let secret) = settings.ownCredential { files.append(resolve(secret.file)) }
        return files
    }

    private func files(_ tls: UpstreamSettings.TLS) -> [String] {
        [tls.authorities, tls.clientCertificate?.certificate, tls.clientCertificate?.key].compactMap { $0.map(resolve) }
    }

    private func resolve(_ path: String) -> String { PolicyFolder.resolve(path, in: policyFolder) }
}
