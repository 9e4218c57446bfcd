import HTTP
import Policy
import Testing

@testable import Gateway
@testable import Transport

@Suite("ResolveStage")
struct ResolveStageTests {
    /// An upstream that gives one answer about all jobs.
    private struct Jobs: JobConnectionLookup {
        let answer: Result<String?, UpstreamFailure>
        var takesBodyPieces: Bool { false }
        var readsBodyValue: Bool { false }

        func connection(
            ofJob job: String, organization: String, family: RouteFamily, near start: String
        ) async throws(UpstreamFailure) -> String? { try answer.get() }
    }

    /// What comes out for a retry of a job, whose connection a lease needs.
    private func retry(at upstream: some JobConnectionLookup) async throws -> Result<String?, Failure> {
        let policies = try TestPipeline.compiledPolicies()
        let request = try Request.parsed(
            "POST /v1/organizations/org_a/knowledge/connectors/jobs/job_1/retry HTTP/1.1\nHost: a\n"
                + "Authorization: Bearer token-a\n\n")
        var exchange = Exchange(trace: .fresh(), policies: policies, startedAt: Instant(nanoseconds: 0))
        var cache = TokenDigestCache()
        guard case .forward(let grant) = DecideStage().decide(request, &exchange, &cache, epochSeconds: 0) else {
            throw Request.Unfinished()
        }
        do throws(Failure) {
            try await ResolveStage().resolve(grant, .whole([]), request, at: upstream, &exchange)
            return .success(exchange.connectionID)
        } catch { return .failure(error) }
    }

    @Test("ResolveStage: the connection of a job in the path is the one that the upstream reports")
    func told() async throws {
        #expect(try await retry(at: Jobs(answer: .success("conn_1"))) == .success("conn_1"))
        #expect(try await retry(at: Jobs(answer: .success(nil))) == .failure(Failure(.noSuchJob, at: .read)))
    }

    @Test("ResolveStage: without an upstream the client does not get a 404 for the job")
    func unavailable() async throws {
        let unavailable = Failure(.upstream(.noEndpoint), at: .read)
        #expect(try await retry(at: Jobs(answer: .failure(.noEndpoint))) == .failure(unavailable))
        #expect(try await retry(at: ForwardTarget.unavailable) == .failure(unavailable))
    }
}
