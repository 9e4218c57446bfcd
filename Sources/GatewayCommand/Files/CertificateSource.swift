import Crypto
import Foundation
import Policy
import Synchronization

/// Where the certificates come from: the files the policy names, or the local ones of a first run.
struct CertificateSource: Sendable {
    struct Loaded: Sendable {
        let context: TLSContext
        /// The gateway's own was made just now, and its authority too.
        let isNewAuthority: Bool
        /// The gateway's own, which only clients that were given the local authority trust.
        let isLocal: Bool
    }

    private let policyFolder: String
    private let state: StateFolder
    /// What the files held when they were last loaded.
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
        // Remembered even if they cannot be used, so that what is wrong is told once.
        last.fingerprint.withLock { $0.bytes = fingerprint.bytes }
        do throws(TLSError) {
            let context = try TLSContext(
                identities: identities, keys: keys, requiresTLS13: settings.minimumVersion == .tls13)
            last.fingerprint.withLock { $0 = fingerprint }
            for (file, days) in context.certificates(endingWithin: 14) {
                Help.report(
                    days < 0
                        ? "warning: the certificate \(file) has expired: clients will refuse it; replace the file"
                        : "warning: the certificate \(file) expires in \(days) days: replace the file in time")
            }
            return Loaded(
                context: context, isNewAuthority: isNewAuthority, isLocal: settings.certificates.isEmpty)
        } catch {
            let files = identities.map { "\($0.certificateFile) with \($0.keyFile)" }.joined(separator: ", ")
            let remedy =
                settings.certificates.isEmpty
                ? "delete both files, and the next start makes new ones"
                : "check gateway.tls.certificates in the policy"
            throw StartupError(line: "the certificate \(files) cannot be used (\(error)): \(remedy)")
        }
    }

    /// A new context if any file has other contents than before, `nil` if not.
    func reload(_ settings: GatewaySettings.TLS, keys: TicketKeys) throws(StartupError) -> TLSContext? {
        var identities = identities(settings)
        if identities.isEmpty {
            identities = [.init(certificateFile: state.file("server.pem"), keyFile: state.file("server-key.pem"))]
        }
        let fingerprint = Fingerprint(bytes: contents(identities), minimumVersion: settings.minimumVersion)
        guard fingerprint != last.fingerprint.withLock({ $0 }) else { return nil }
        return try load(settings, keys: keys).context
    }

    /// A new context where the gateway's own certificate had come into the last third of its life, `nil` where it had not.
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

    /// Where the files are that the policy names, to be watched for changes.
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
