import Policy

/// The files that a gateway reads at the start, and again after a change.
struct FileSources: Sendable {
    let policies: PolicySource
    let certificates: CertificateSource
    let upstreams: UpstreamSource
    private let policyFolder: String

    init(policyFolder: String, state: StateFolder) {
        self.policyFolder = policyFolder
        policies = PolicySource(folder: PolicyFolder(path: policyFolder), demoTokenFile: state.demoTokenFile)
        certificates = CertificateSource(policyFolder: policyFolder, state: state)
        upstreams = UpstreamSource(policyFolder: policyFolder)
    }

    /// The folders of all files that these settings name, each with its identity. A folder that replaces another has
    /// another identity.
    func watchedFolders(_ settings: GatewaySettings) -> [String: String] {
        policies.identities(
            of: policies.folders + CertificateSource.folders(settings.tls, policyFolder: policyFolder)
                + upstreams.folders(settings.upstream))
    }
}
