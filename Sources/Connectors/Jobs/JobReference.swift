/// The facts about a job that other modules need.
package struct JobReference: Sendable, Equatable {
    package let organization: String
    package let connection: String
    package let id: String
    /// `sync`, `reset`, `refresh` or `clear`.
    package let type: String
    /// `pending`, `running`, `succeeded`, `failed` or `cancelled`.
    package let status: String
    /// Epoch milliseconds; `nil` until the job runs.
    package let startedAt: Int64?
    /// Whether the job belongs to a source connection of the Airweave family.
    package let isAirweave: Bool

    /// The path of the job in the API of the Aitronos family.
    package var path: String {
        // Every trigger makes paths: reserved memory, where an interpolation would grow the text piece by piece.
        let (start, middle) = ("/v1/organizations/", "/knowledge/connectors/jobs/")
        var path = ""
        path.reserveCapacity(start.utf8.count + organization.utf8.count + middle.utf8.count + id.utf8.count)
        path += start
        path += organization
        path += middle
        path += id
        return path
    }
}

/// A job began or ended, and the journal has the record.
package struct JobEvent: Sendable, Equatable {
    /// An event is `ended` if the new status is final. The case has that status, such as `succeeded`.
    package enum Kind: Sendable, Equatable {
        case started
        case ended(status: String)
    }

    /// The job as it is after the event.
    package let job: JobReference
    package let kind: Kind
}
