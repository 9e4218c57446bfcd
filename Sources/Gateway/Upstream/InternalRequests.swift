internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

// The gateway's own requests: status polls and health checks.
extension UpstreamClient {
    /// Checks the health of an endpoint over a new connection, because a pooled one would not show that new ones can be
    /// made.
    func isHealthy(_ endpoint: Endpoint, _ check: UpstreamSettings.HealthCheck) async -> Bool {
        let deadline = loop.now + check.timeout
        guard
            let connection = try? await UpstreamConnection.connect(
                to: target(endpoint), on: loop, timeout: check.timeout, limits: UpstreamClient.headLimits)
        else { return false }
        let path = Array((endpoint.url.base + check.path).utf8)
        let response = try? await exchange(path, endpoint, [], over: connection, before: deadline)
        return response.map { (200...299).contains($0.status) } ?? false
    }

    /// GETs a target for an organization, with the gateway's own credential, within 10 s and before `latest`. If a pooled
    /// connection turns out to be closed, a new connection replaces it.
    func get(
        _ target: String, for organization: String, before latest: Instant
    ) async throws(Failure) -> InternalResponse {
        let deadline = min(loop.now + .seconds(10), latest)
        let permit = try await acquirePollPermit(for: organization, before: deadline)
        var response = try await get(target, for: organization, reuses: true, before: deadline)
        if response == nil { response = try await get(target, for: organization, reuses: false, before: deadline) }
        _ = consume permit
        guard let response else { throw Failure(.upstream(.closed), at: .forward) }
        return response
    }

    /// `nil` if the connection was from the pool and turned out to be closed.
    private func get(
        _ target: String, for organization: String, reuses: Bool, before deadline: Instant
    ) async throws(Failure) -> InternalResponse? {
        var checkedOut = try await checkOut(reuses: reuses, unlessClosing: nil)
        var fields = ForwardedFields.organization + Array(organization.utf8) + HTTP1Line.end
        if let credential = cluster.configuration.ownCredential { fields += credential.line }
        let endpoint = checkedOut.endpoint
        do throws(UpstreamConnectionError) {
            let response = try await exchange(
                Array((endpoint.url.base + target).utf8), endpoint, fields, over: checkedOut.connection,
                before: deadline)
            checkedOut.outcome = Endpoint.Outcome(of: checkedOut.connection, for: processKey(of: organization))
            checkedOut.giveBack()
            return response
        } catch {
            if checkedOut.isReused, error == .closed { return nil }
            // A response that is too long is still a response.
            if error != .truncated { checkedOut.outcome = Endpoint.Outcome(error, for: processKey(of: organization)) }
            throw Failure(error)
        }
    }

    private func exchange(
        _ target: [UInt8], _ endpoint: Endpoint, _ fields: [UInt8], over connection: UpstreamConnection,
        before deadline: Instant
    ) async throws(UpstreamConnectionError) -> InternalResponse {
        connection.requestStarted(.get)
        connection.output += HTTPMethod.get.bytes + Array(" ".utf8) + target + endpoint.hostLines
        connection.output += fields + ForwardedFields.via + ForwardedFields.ownFields
        connection.requestFinished()
        if try await connection.flush(within: deadline - loop.now) == .all {
            try await connection.nextHead(before: deadline)
        }
        while connection.head.isInterim { try await connection.nextHead(before: deadline) }
        let status = connection.head.status
        let (isFromCache, hasNextPage) = (connection.isHeadFromCache, connection.hasNextLink)
        var body: [UInt8] = []
        while case .bytes(let range) = try await connection.nextBodyPiece(before: deadline) {
            guard body.count + range.count <= UpstreamClient.maxResponseBytes else { throw .truncated }
            connection.copyBody(range, to: &body)
        }
        return InternalResponse(status: status, body: body, isFromCache: isFromCache, hasNextPage: hasNextPage)
    }

    /// The maximum length of a response body.
    private static let maxResponseBytes = 1 << 20
}

extension UpstreamConnection {
    /// Whether a cache sent the response without asking the service (RFC 9111, section 5.1). Some caches write an age
    /// of zero after they have asked.
    var isHeadFromCache: Bool { hasValue(of: "age") { $0 != [UInt8(ascii: "0")] } }

    /// Whether the head links to the next page of a list (RFC 8288, section 3.3).
    var hasNextLink: Bool {
        hasValue(of: "link") { value in
            let text = String(decoding: value, as: UTF8.self).lowercased()
            return text.filter { $0 != " " && $0 != "\"" }.contains("rel=next")
        }
    }

    /// Whether a field of this name, which has no ``FieldName``, has a value that `isWanted` accepts.
    private func hasValue(of name: String, _ isWanted: ([UInt8]) -> Bool) -> Bool {
        withHead { head, bytes in
            for field in head.fields {
                guard case .other = field.name, bytes.spells(name, in: field.nameRange) else { continue }
                if isWanted(bytes.array(field.value)) { return true }
            }
            return false
        }
    }
}

extension ForwardedFields {
    /// Caches must not respond from their store (RFC 9111, section 5.2.1.4).
    static let ownFields = Array(
        "Accept: application/json\r\nCache-Control: no-cache\r\nUser-Agent: connector-gateway\r\n\r\n".utf8)
}

/// Sends the status polls of any task on one worker's loop.
struct InternalRequests: InternalRequesting {
    let loop: EventLoop
    /// Returns the current client. Called on the loop.
    let client: @Sendable () -> UpstreamClient?

    func get(
        _ target: String, for organization: String, before deadline: Instant
    ) async throws(UpstreamFailure) -> InternalResponse {
        let outcome: Result<InternalResponse, Failure> = await withTaskExecutorPreference(loop) {
            guard let client = client() else { return .failure(Failure(.upstream(.noEndpoint), at: .forward)) }
            do throws(Failure) {
                return .success(try await client.get(target, for: organization, before: deadline))
            } catch {
                return .failure(error)
            }
        }
        switch outcome {
        case .success(let response): return response
        case .failure(let failure):
            if case .upstream(let upstreamFailure) = failure.kind { throw upstreamFailure }
            throw .closed
        }
    }
}
