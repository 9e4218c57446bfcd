import Policy

/// The settings of the policy that took effect with the start, and do not change before the next one.
struct StartSettings: Sendable {
    private let settings: GatewaySettings
    /// Those that a flag or variable decides, whatever the policy says.
    private let overridden: Set<String>

    init(_ settings: GatewaySettings, overridden: Set<String>) {
        self.settings = settings
        self.overridden = overridden
    }

    /// The names of those that `new` would have otherwise.
    func changed(in new: GatewaySettings) -> [String] {
        let changes = [
            ("gateway.listen", new.listen != settings.listen), ("gateway.admin", new.admin != settings.admin),
            ("gateway.workers", new.workers != settings.workers),
            ("gateway.sizes.bodyMemory", new.sizes.bodyMemoryBytes != settings.sizes.bodyMemoryBytes),
            ("gateway.upstream", (new.upstream == nil) != (settings.upstream == nil)),
        ]
        return changes.filter { $0.1 && !overridden.contains($0.0) }.map(\.0)
    }
}
