import Crypto
import Foundation
import Policy
import Synchronization

/// The source of the certificates: the files that the policy names, or the certificate that the gateway makes for itself.
struct CertificateSource: Sendable {
    struct Loaded: Sendable {
        let context: TLSContext
        /// This load made a certificate and a new authority.
        let isNewAuthority: Bool
        /// The certificate is the gateway's own. Only clients that have the local authority trust it.
        let isLocal: Bool
    }

    private let policyFolder: String
    private let state: StateFolder
    /// The contents of the files at the last load.
    private struct Fingerprint: Equatable {
        var bytes: [Data?] = []
        var minimumVersion = GatewaySettings.TLS.MinimumVersion.tls12
    }
    private final class LastLoaded: Sendable {
        let fingerprint = Mutex(Fingerprint())
    }
    private let last = LastLoaded()

    init(policyFolder: String, state: StateFolder) {
        self.policyFolder = policyFolder
        self.state = state
    }

    func load(_ settings: GatewaySettings.TLS, keys: TicketKeys) throws(StartupError) -> Loaded {
        var identities = identities(settings)
        var isNewAuthority = false
        if identities.isEmpty {
            do throws(StateFolder.Unusable) {
                let local = try state.localIdentity(now: CertificateSource.now)
                identities = [local.identity]
                isNewAuthority = local.isNewAuthority
            } catch { throw StartupError(line: error.description) }
        }
        let fingerprint = Fingerprint(bytes: contents(identities), minimumVersion: settings.minimumVersion)
        // Files with an error are remembered too, so that the error is printed once.
        last.fingerprint.withLock { $0.bytes = fingerprint.bytes }
        do throws(TLSError) {
            let context = try TLSContext(
                identities: identities, keys: keys, requiresTLS13: settings.minimumVersion == .tls13)
            last.fingerprint.withLock { $0 = fingerprint }
            for (file, days) in context.certificates(endingWithin: 14) {
                Help.report(
                    days < 0
                        ? "warning: the certificate \(file) has expired: clients refuse it; replace the file"
                        : "warning: the certificate \(file) expires in \(days) days: replace the file in time")
            }
            return Loaded(
                context: context, isNewAuthority: isNewAuthority, isLocal: settings.certificates.isEmpty)
        } catch {
            let files = identities.map { "\($0.certificateFile) with \($0.keyFile)" }.joined(separator: ", ")
            let remedy =
                settings.certificates.isEmpty
                ? "delete both files, and start again: the start makes new ones"
                : "check gateway.tls.certificates in the policy"
            throw StartupError(line: "the certificate \(files) cannot be used (\(error)): \(remedy)")
        }
    }

    /// A new context, or `nil` if no file has changed.
    func reload(_ settings: GatewaySettings.TLS, keys: TicketKeys) throws(StartupError) -> TLSContext? {
        var identities = identities(settings)
        if identities.isEmpty {
            identities = [.init(certificateFile: state.file("server.pem"), keyFile: state.file("server-key.pem"))]
        }
        let fingerprint = Fingerprint(bytes: contents(identities), minimumVersion: settings.minimumVersion)
        guard fingerprint != last.fingerprint.withLock({ $0 }) else { return nil }
        return try load(settings, keys: keys).context
    }

    /// Renews the gateway's own certificate in the last third of its lifetime. `nil` if it is not time yet.
    func renew(_ settings: GatewaySettings.TLS, keys: TicketKeys) throws(StartupError) -> Loaded? {
        guard settings.certificates.isEmpty else { return nil }
        let local: StateFolder.LocalIdentity
        do throws(StateFolder.Unusable) { local = try state.localIdentity(now: CertificateSource.now) } catch {
            throw StartupError(line: error.description)
        }
        guard local.isNew else { return nil }
        let loaded = try load(settings, keys: keys)
        return Loaded(context: loaded.context, isNewAuthority: local.isNewAuthority, isLocal: true)
    }

    private static var now: Int { Int(Date().timeIntervalSince1970) }

    /// The folders of the files that the policy names. The gateway watches them for changes.
    static func folders(_ settings: GatewaySettings.TLS, policyFolder: String) -> [String] {
        let files = settings.certificates.flatMap { [$0.certificate, $0.key] }.map {
            PolicyFolder.resolve($0, in: policyFolder)
        }
        return Array(Set(files.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }))
    }

    private func identities(_ settings: GatewaySettings.TLS) -> [TLSIdentity] {
        settings.certificates.map {
            TLSIdentity(certificateFile: resolve($0.certificate), keyFile: resolve($0.key))
        }
    }

    private func resolve(_ path: String) -> String { PolicyFolder.resolve(path, in: policyFolder) }

    private func contents(_ identities: [TLSIdentity]) -> [Data?] {
        identities.flatMap { [$0.certificateFile, $0.keyFile] }.map { FileManager.default.contents(atPath: $0) }
    }
}
