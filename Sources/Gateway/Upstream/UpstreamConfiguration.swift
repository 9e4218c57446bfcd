package import Crypto
package import Policy

/// The policies' settings of a remote upstream, with the contents of the files that they name.
package struct UpstreamConfiguration: Sendable, Equatable {
    package let settings: UpstreamSettings
    /// For `https` endpoints.
    package let tls: TLSClientContext?
    /// Replaces the client's credential; `nil` if the gateway adds none.
    package let credential: SecretField?
    /// For the gateway's status polls.
    package let ownCredential: SecretField?
    /// Identifies the contents of the files.
    private let fingerprint: [UInt8]

    /// `fingerprint` must differ if a file has other contents: `==` compares it, and not the contents.
    package init(
        settings: UpstreamSettings, tls: TLSClientContext? = nil, credential: SecretField? = nil,
        ownCredential: SecretField? = nil, fingerprint: [UInt8] = []
    ) {
        self.settings = settings
        self.tls = tls
        self.credential = credential
        self.ownCredential = ownCredential
        self.fingerprint = fingerprint
    }

    /// The values of the credentials.
    var secrets: [String] { [credential, ownCredential].compactMap { $0?.value } }

    /// Whether both have the same settings, and files with the same contents.
    package static func == (one: UpstreamConfiguration, other: UpstreamConfiguration) -> Bool {
        one.settings == other.settings && one.fingerprint == other.fingerprint
    }
}
