internal import Bytes
internal import Policy

/// The response that shows a job that runs already, in the shape of the route's API family.
enum RunningJobResponse {
    static func response(_ job: LeaseJob, on connection: String, _ family: RouteFamily) -> Response {
        var response = Response(status: 200)
        append(job, on: connection, family, to: &response.body)
        if let location = job.location { response.fields.append((name: "Location", value: location)) }
        return response
    }

    private static func append(
        _ job: LeaseJob, on connection: String, _ family: RouteFamily, to body: inout [UInt8]
    ) {
        var members: [ErrorDetail.Member]
        let start: ErrorDetail = job.startedAt.map { .timestamp($0) } ?? .null
        switch family {
        case .airweave:
            members = [
                .init("id", .string(job.id)), .init("source_connection_id", .string(connection)),
                .init("status", .string(job.status)), .init("started_at", start), .init("completed_at", .null),
            ]
        case .aitronos, .other:
            members = [
                .init("job_id", .string(job.id)), .init("status", .string(job.status)),
                .init("job_type", .string(job.type)), .init("connection_id", .string(connection)),
            ]
            if job.startedAt != nil { members.append(.init("start_time", start)) }
        }
        ErrorDetail.object(members).append(to: &body)
    }
}
