extension String {
    /// The text with stars for each of the secrets: some services show the credential that they got.
    func masking(_ secrets: [String]) -> String {
        var text = self
        for secret in secrets {
            // With the scheme and without it.
            let bare = secret.split(separator: " ").last.map(String.init) ?? ""
            for part in [secret, bare] where !part.isEmpty { text = text.replacing(part, with: "***") }
        }
        return text
    }
}
