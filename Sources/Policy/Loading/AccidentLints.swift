extension PolicyValidation {
    /// Warns of probable omissions: there are no tokens, or no limits.
    func lintAccess() {
        guard documents.routes.contains(where: { !$0.isPublic }) else { return }
        if documents.limits.isEmpty {
            diagnostics.warning(
                .noLimits, "no file defines a limit: a token can use its routes without limit", at: diagnostics.start,
                help: ["add limits in a section \"limits\"; is this the right folder?"])
        }
        let organizations = documents.organizations
        if organizations.allSatisfy({ $0.tokens.isEmpty && $0.id != Organization.demoID }) {
            diagnostics.warning(
                .noTokens, "no organization has a token: only public routes can be used",
                at: organizations.first?.span ?? diagnostics.start,
                help: ["create one with \"gateway token create\", which prints the entry to paste"])
            return
        }
        let reached = Set(organizations.flatMap(\.tokens).flatMap(\.organizations).map(\.value))
        for organization in organizations
        where organization.tokens.isEmpty && !reached.contains(organization.id)
            && organization.id != Organization.demoID
        {
            diagnostics.warning(
                .organizationWithoutTokens, "no token can act for organization \"\(organization.id)\"",
                at: organization.span,
                help: [
                    "create one with \"gateway token create\", or list the organization in \"organizations\" of another token"
                ])
        }
    }

    /// Warns of two kinds of leases that exclude each other if only one of them lists the other.
    func lintConflicts() {
        var conflicts: [String: Set<String>] = [:]
        for lease in documents.leases { conflicts[lease.name] = Set(lease.conflicts.map(\.value)) }
        for lease in documents.leases {
            for other in lease.conflicts where conflicts[other.value]?.contains(lease.name) == false {
                diagnostics.warning(
                    .oneSidedConflict,
                    "\"\(lease.name)\" conflicts with \"\(other.value)\", but \"\(other.value)\" does not list \"\(lease.name)\"",
                    at: other.span,
                    help: [
                        "conflicts apply in both directions: add \"\(lease.name)\" to the \"conflicts\" of \"\(other.value)\" as "
                            + "well"
                    ])
            }
        }
    }
}

extension PolicyValidation {
    /// Warns of a status of the API's contract that no list of the policies has: the gateway would count it as active for ever.
    func lintJobStatuses() {
        for document in documents.jobStatuses {
            let known = Set(document.words.map { $0.word.value.lowercased() })
            let forgotten = JobStatuses.documented(by: document.family).filter { !known.contains($0) }
            guard !forgotten.isEmpty else { continue }
            let names = forgotten.map { "\"\($0)\"" }.joined(separator: ", ")
            diagnostics.warning(
                .forgottenStatus, "no list of the job statuses of \"\(document.family.rawValue)\" has \(names)",
                at: document.span,
                help: [
                    "an unlisted status counts as active, so a lease may never end: add each to the list that it belongs to"
                ])
        }
    }
}

extension PolicyValidation {
    /// Warns of a changed rate that has no effect because the burst is unchanged.
    func lintBursts() {
        var limits: [String: EffectiveLimit] = [:]
        for limit in documents.limits { limits[limit.name] = EffectiveLimit(limit) }
        var plans: [String: [LimitChange]] = [:]
        for plan in documents.plans {
            plans[plan.name] = plan.changes
            for change in plan.changes { lint(change, of: limits[change.limit.value]) }
        }
        for organization in documents.organizations where !organization.overrides.isEmpty {
            var effective = limits
            for change in organization.plan.flatMap({ plans[$0.value] }) ?? [] {
                effective[change.limit.value]?.apply(change)
            }
            for change in LimitChange.latestFirst(organization.overrides) where change.end > now {
                lint(change, of: effective[change.limit.value])
                effective[change.limit.value]?.apply(change)
            }
        }
    }

    private func lint(_ change: LimitChange, of limit: EffectiveLimit?) {
        guard let limit, let rate = change.rate, let span = change.rateSpan, change.burst == nil,
            let burst = limit.burst
        else { return }
        let message: String
        let effect: String
        if Double(burst) < rate.perSecond, Double(burst) >= limit.rate.perSecond {
            message = "\"allow\" is \(Int(rate.perSecond.rounded(.up))) per second, but \"burst\" is still \(burst)"
            effect = "at most \(burst) requests can come at the same time"
        } else if Double(burst) > rate.maxPerWindow, Double(burst) <= limit.rate.maxPerWindow {
            message = "\"allow\" is less than \"burst\", which is still \(burst)"
            effect = "after a pause, \(burst) requests can come at the same time"
        } else {
            return
        }
        diagnostics.warning(
            .burstStays, message, at: span,
            help: ["\(effect): set \"burst\" of \"\(change.limit.value)\" here as well"])
    }
}

extension Rate {
    /// The requests permitted in the rate's period, or in a minute if that is longer.
    fileprivate var maxPerWindow: Double { perSecond * Double(max(periodSeconds, 60)) }
}
