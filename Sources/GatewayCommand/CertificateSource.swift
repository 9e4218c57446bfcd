import Crypto
import Foundation
import Policy

/// Where the certificates come from: the files the policy names, or the local ones of a first run.
struct CertificateSource {
    struct Loaded {
        let context: TLSContext
        /// Made just now.
        let isNew: Bool
        /// The gateway's own, which only clients that were given the local authority trust.
        let isLocal: Bool
    }

    private let policyFolder: String
    private let state: StateFolder
    /// What the files held when they were last loaded.
    private final class Fingerprint {
        var bytes: [Data?] = []
        var minimumVersion = GatewaySettings.TLS.MinimumVersion.tls12
    }
    private let fingerprint = Fingerprint()

    init(policyFolder: String, state: StateFolder) {
        self.policyFolder = policyFolder
        self.state = state
    }

    func load(_ settings: GatewaySettings.TLS, keys: TicketKeys) throws(ServeCommand.Refusal) -> Loaded {
        var identities = identities(settings)
        var isNew = false
        if identities.isEmpty {
            do throws(StateFolder.Unusable) {
                let local = try state.localIdentity(now: Int(Date().timeIntervalSince1970))
                identities = [local.identity]
                isNew = local.isNew
                if !isNew, CertificateSource.isEnding(local.identity, keys: keys) {
                    state.forgetLocalIdentity()
                    isNew = try state.localIdentity(now: Int(Date().timeIntervalSince1970)).isNew
                }
            } catch { throw ServeCommand.Refusal(line: error.description) }
        }
        fingerprint.bytes = contents(identities)
        do throws(TLSError) {
            let context = try TLSContext(
                identities: identities, keys: keys, requiresTLS13: settings.minimumVersion == .tls13)
            fingerprint.minimumVersion = settings.minimumVersion
            for (file, days) in context.certificates(endingWithin: 14) {
                Help.complain(
                    days < 0
                        ? "warning: the certificate \(file) has expired: clients will refuse it; replace the file"
                        : "warning: the certificate \(file) expires in \(days) days: replace the file in time")
            }
            return Loaded(context: context, isNew: isNew, isLocal: settings.certificates.isEmpty)
        } catch {
            let files = identities.map { "\($0.certificateFile) with \($0.keyFile)" }.joined(separator: ", ")
            let remedy =
                settings.certificates.isEmpty
                ? "delete both files, and the next start makes new ones"
                : "check gateway.tls.certificates in the policy"
            throw ServeCommand.Refusal(line: "the certificate \(files) cannot be used (\(error)): \(remedy)")
        }
    }

    /// A new context if any file has other contents than before, `nil` if not.
    func reload(_ settings: GatewaySettings.TLS, keys: TicketKeys) throws(ServeCommand.Refusal) -> TLSContext? {
        var identities = identities(settings)
        if identities.isEmpty {
            identities = [.init(certificateFile: state.file("server.pem"), keyFile: state.file("server-key.pem"))]
        }
        guard contents(identities) != fingerprint.bytes || settings.minimumVersion != fingerprint.minimumVersion else {
            return nil
        }
        return try load(settings, keys: keys).context
    }

    /// The local certificate has less than a month to live, or cannot be read: it is made anew.
    private static func isEnding(_ identity: TLSIdentity, keys: TicketKeys) -> Bool {
        guard let context = try? TLSContext(identities: [identity], keys: keys) else { return true }
        return !context.certificates(endingWithin: 30).isEmpty
    }

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
