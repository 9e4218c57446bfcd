internal import JSON

extension PolicyValidation {
    /// A request that costs more than a full bucket holds could never pass, also where a plan or an override makes the bucket
    /// smaller.
    func checkCosts() {
        for route in documents.routes {
            for (limit, _) in route.cost?.byLimit ?? [] { checkLimit(limit) }
        }
        var bursts = documents.limits.map { SmallestBurst(units: $0.effectiveBurst, span: $0.span) }
        let index = Dictionary(
            documents.limits.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        func apply(_ change: LimitChange, to limits: inout [EffectiveLimit]) {
            guard let limit = index[change.limit.value] else { return }
            limits[limit].apply(change)
            let units = limits[limit].effectiveBurst
            if units < bursts[limit].units { bursts[limit] = SmallestBurst(units: units, span: change.limit.span) }
        }
        let base = documents.limits.map(EffectiveLimit.init)
        var plans: [String: [EffectiveLimit]] = [:]
        for plan in documents.plans {
            var limits = base
            for change in plan.changes { apply(change, to: &limits) }
            plans[plan.name] = limits
        }
        for organization in documents.organizations where !organization.overrides.isEmpty {
            var limits = organization.plan.flatMap { plans[$0.value] } ?? base
            for change in LimitChange.latestFirst(organization.overrides) { apply(change, to: &limits) }
        }
        for route in documents.routes {
            for (limit, burst) in zip(documents.limits, bursts) where limit.applies(to: route) {
                guard let cost = route.cost?.cost(on: limit.name), cost.value > burst.units else { continue }
                diagnostics.error(
                    .costAboveBurst,
                    "a request of route \"\(route.id)\" costs \(cost.value), but the burst of \"\(limit.name)\" is \(burst.units)",
                    at: cost.span,
                    help: [
                        "it would be refused for ever: lower the cost, or raise the burst at "
                            + diagnostics.location(of: burst.span)
                    ])
            }
        }
    }

    /// Warns of a cost on a limit that does not apply to the route.
    func lintCosts() {
        for route in documents.routes {
            guard let costs = route.cost else { continue }
            for (name, cost) in costs.byLimit {
                guard let limit = documents.limits.first(where: { $0.name == name.value }), !limit.applies(to: route)
                else { continue }
                warn(cost.span, "route \"\(route.id)\" has a cost on \"\(name.value)\", which does not apply to it")
            }
            if let general = costs.general, !documents.limits.contains(where: { $0.applies(to: route) }) {
                warn(general.span, "route \"\(route.id)\" has a cost, but no limit applies to it")
            }
        }
    }

    private func warn(_ span: SourceSpan, _ message: String) {
        diagnostics.warning(
            .unusedCost, message, at: span,
            help: ["it has no effect: remove it, or add the \"class\" of the route to the \"on\" of a limit"])
    }
}

/// The smallest burst of a limit over all plans and overrides, and where it is set.
private struct SmallestBurst {
    let units: Int
    let span: SourceSpan
}
