internal import JSON

/// For whom a limit refuses requests, as written.
enum LimitMode: Hashable {
    case enforce
    case observe
    /// Enforced for a share of the organizations, in hundredths of a percent, and observed for the others.
    case enforceShare(Int)

    /// The mode for one organization.
    func mode(of limit: String, for organization: String) -> LimitRule.Mode {
        switch self {
        case .enforce: .enforce
        case .observe: .observe
        case .enforceShare(let share):
            OrganizationShare.position(of: organization, in: limit) < share ? .enforce : .observe
        }
    }

    var isShared: Bool { if case .enforceShare = self { true } else { false } }
}

extension ObjectReader {
    /// `"enforce"`, `"observe"`, or `{ enforce: "10%" }`.
    func limitMode(_ name: String) -> LimitMode? {
        guard let value = self[name] else { return nil }
        guard value.object != nil else {
            guard value.string != nil else {
                mismatch(name, value, "\"enforce\", \"observe\" or { enforce: \"10%\" }")
                return nil
            }
            return word(name, of: [("enforce", .enforce), ("observe", .observe)])
        }
        guard let fields = object(name, of: "\"\(name)\" of \(owner)", shape: .limitMode) else { return nil }
        fields.require("enforce", at: span(of: value))
        let share = fields.parsed(
            "enforce", .badValue, "a share of the organizations", help: Units.shareHelp, Units.share)
        return share.map { .enforceShare($0.value) }
    }
}
