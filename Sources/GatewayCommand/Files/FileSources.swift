import Policy

/// What a running gateway reads from files, and reads again when they change.
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

    /// The folders of all files that these settings name, each with what tells it from another one that takes its place.
    func watchedFolders(_ settings: GatewaySettings) -> [String: String] {
        policies.identities(
            of: policies.folders + CertificateSource.folders(settings.tls, policyFolder: policyFolder)
                + upstreams.folders(settings.upstream))
    }
}
