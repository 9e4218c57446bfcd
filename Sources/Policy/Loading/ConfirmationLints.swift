internal import JSON

extension PolicyValidation {
    /// Warns of confirmations that protect nothing, and of a way around them.
    func lintConfirmations() {
        for route in documents.routes {
            guard let confirmation = route.confirmation else { continue }
            if route.patterns.allSatisfy({ $0.value.methods == .get }) {
                diagnostics.warning(
                    .needlessConfirmation, "route \"\(route.id)\" only reads, but its requests must be confirmed",
                    at: confirmation.span, help: ["a GET erases nothing: remove \"confirm\""])
            }
            guard let lease = route.lease else { continue }
            for other in documents.routes where other.confirmation == nil && other.lease?.value == lease.value {
                diagnostics.warning(
                    .unconfirmedRoute,
                    "route \"\(other.id)\" takes the lease \"\(lease.value)\" without a confirmation, which "
                        + "\"\(route.id)\" demands",
                    at: other.span,
                    help: [
                        "if it erases the same, a caller can avoid the confirmation at "
                            + "\(diagnostics.location(of: confirmation.span)): add \"confirm\"",
                        "if it does not, give it a kind of lease of its own",
                    ])
            }
        }
    }
}
