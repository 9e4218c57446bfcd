import Policy

/// The settings that keep the values of the start until the next start.
struct FixedSettings: Sendable {
    private let settings: GatewaySettings
    /// The names of settings with a flag or variable, which overrides the policy.
    private let overridden: Set<String>

    init(_ settings: GatewaySettings, overridden: Set<String>) {
        self.settings = settings
        self.overridden = overridden
    }

    /// The names of the settings that have another value in `new`.
    func changes(in new: GatewaySettings) -> [String] {
        let changes = [
            ("gateway.listen", new.listen != settings.listen), ("gateway.admin", new.admin != settings.admin),
            ("gateway.workers", new.workers != settings.workers),
            ("gateway.sizes.bodyMemory", new.sizes.bodyMemoryBytes != settings.sizes.bodyMemoryBytes),
            ("gateway.idempotency.memory", new.idempotency.memoryBytes != settings.idempotency.memoryBytes),
            ("gateway.upstream", (new.upstream == nil) != (settings.upstream == nil)),
        ]
        return changes.filter { $0.1 && !overridden.contains($0.0) }.map(\.0)
    }
}
