internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

/// Responds to a request that only asks what would happen. Nothing is charged, forwarded or taken.
struct DryRunStage {
    let limits: LimitStage
    let reader: ReadStage
    let resolver: ResolveStage
    let admission: AdmitStage

    /// Whether the client wants to know only (`Prefer: handling=dry-run`). A read changes nothing anyway.
    static func isWanted(by request: borrowing Request) -> Bool {
        guard !request.head.method.isSafe else { return false }
        return Preferences(request.head, request.headBytes).handling == Preferences.dryRun
    }

    func respond(
        to grant: Grant, at target: some LeaseOrigins & JobConnectionLookup,
        _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Response {
        let body = try await reader.readBody(of: &stream, for: grant, passesOn: target.takesBodyPieces, &exchange)
        if grant.route.connection == .job {
            exchange.connectionID = knownConnection(grant, stream.request)
        } else {
            try await resolver.resolve(grant, body, stream.request, at: target, &exchange)
        }
        let passes = limits.look(at: grant, &exchange, now: stream.now)
        let lease =
            exchange.connectionID == nil
            ? nil : try admission.preview(grant, body, stream.request, at: target, &exchange)
        exchange.outcome = .dryRun
        var response = Response(status: 200)
        response.fields.append((name: "Preference-Applied", value: "handling=\(Preferences.dryRun)"))
        ErrorDetail.object(members(grant, passes, lease, exchange)).append(to: &response.body)
        return response
    }

    /// The connection of the job in the path, if a lease has the job. The upstream is not asked: the request is not charged for it.
    private func knownConnection(_ grant: Grant, _ request: borrowing Request) -> String? {
        guard let range = grant.captures.job, let organization = grant.organization else { return nil }
        let path = request.bytes(request.head.path)
        let id = ConnectionID.canonical(path.span.extracting(range))
        return id.flatMap { admission.leases.connection(ofJob: $0, organization: organization.id) }
    }

    private func members(
        _ grant: Grant, _ passes: Bool, _ lease: LeasePreview?, _ exchange: borrowing Exchange
    ) -> [ErrorDetail.Member] {
        let result = result(grant, passes, lease)
        var members: [ErrorDetail.Member] = [
            .init("dry_run", .bool(true)), .init("result", .string(result)),
            .init("operation", .string(grant.route.id)),
            .init("organization_id", grant.organization.map { .string($0.id) } ?? .null),
            .init("connection_id", exchange.connectionID.map { .string($0) } ?? .null),
            .init("limits", .objects(rows(exchange))),
        ]
        switch lease {
        case nil: break
        case .capped(let cap): members.append(.init("job_cap", .string(cap.name)))
        case .free: members.append(.init("lease", .object([.init("state", .string("free"))])))
        case .shared(_, let conflict), .conflict(let conflict):
            // As in the 409 that this conflict leads to.
            let refusal = ErrorResponse(
                .failure(Failure(.jobRunning(conflict, connection: exchange.connectionID ?? ""), at: .admit)))
            members.append(
                .init("lease", .object([.init("state", .string(conflict.state.rawValue))] + refusal.details)))
        }
        return members
    }

    /// What would happen, in one word for programs. The lease is looked at first, as in admission.
    private func result(_ grant: Grant, _ passes: Bool, _ lease: LeasePreview?) -> String {
        switch lease {
        case .shared(let outcome, _): return outcome.rawValue
        case .conflict: return grant.route.onConflict.response == .wait ? "waits" : "conflict"
        case .capped: return "job_limit"
        case .free, nil: return passes ? "forwarded" : "rate_limited"
        }
    }

    /// The limits of the request, with what is left of them.
    private func rows(_ exchange: borrowing Exchange) -> [[ErrorDetail.Member]] {
        var rows: [[ErrorDetail.Member]] = []
        for limit in exchange.batch.limits {
            rows.append([
                .init("name", .string(exchange.limits[limit.tag].name)),
                .init("burst", .integer(exchange.limits[limit.tag].burst)),
                .init("remaining", .integer(Int(limit.remaining))),
                .init("reset", .integer(Int(RateLimit.wholeSeconds(limit.resetAfter)))),
                .init("refuses", .bool(limit.isRefusing)),
            ])
        }
        return rows
    }
}
