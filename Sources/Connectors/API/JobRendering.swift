internal import JSON

extension JSONWriter {
    /// The Job object of the Aitronos family, without the members that are not known yet.
    mutating func job(_ job: Job) {
        beginObject()
        name("job_id")
        string(job.id)
        name("status")
        string(job.status.rawValue)
        name("job_type")
        string(job.kind.rawValue)
        name("connection_id")
        string(job.connection.id)
        if let startedAt = job.startedAt {
            name("start_time")
            string(startedAt.iso8601)
            name("bytes_synced")
            integer(job.counters.bytes)
            name("rows_synced")
            integer(job.counters.rows)
        }
        if let duration = job.durationMilliseconds {
            name("duration")
            string(iso8601Duration(milliseconds: duration))
        }
        if let failure = job.failure {
            name("failure_reason")
            string(failure)
        }
        endObject()
    }

    /// The SyncJob object of the Airweave family, with every documented member.
    mutating func syncJob(_ job: Job) {
        beginObject()
        name("id")
        string(job.id)
        name("source_connection_id")
        string(job.connection.id)
        name("status")
        string(job.airweaveStatus)
        name("started_at")
        optional(job.startedAt?.iso8601)
        name("completed_at")
        optional(job.endedAt?.iso8601)
        name("duration_seconds")
        if let duration = job.durationMilliseconds { number(Double(duration) / 1000) } else { null() }
        name("entities_inserted")
        integer(job.counters.inserted)
        name("entities_updated")
        integer(job.counters.updated)
        name("entities_deleted")
        integer(job.counters.deleted)
        name("entities_failed")
        integer(0)
        name("error")
        optional(job.failure)
        name("error_details")
        null()
        endObject()
    }

    mutating func optional(_ text: String?) {
        if let text { string(text) } else { null() }
    }
}

extension Job {
    fileprivate var airweaveStatus: String {
        if isCancelRequested, !status.isEnd { return "CANCELLING" }
        return switch status {
        case .pending: "PENDING"
        case .running: "RUNNING"
        case .succeeded: "COMPLETED"
        case .failed: "FAILED"
        case .cancelled: "CANCELLED"
        }
    }
}
