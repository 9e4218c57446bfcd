/// A response in memory: from the connector service of this process, or an error response of a remote upstream.
package struct UpstreamResponse: ~Copyable, Sendable {
    package var status: Int
    /// Fields for the client, in addition to those that the gateway writes.
    package var fields: [(name: String, value: String)]
    /// Empty if the upstream sent none.
    package var contentType: String
    package var body: [UInt8]
    /// The job that the request started.
    package var startedJob: RunningJob?
    /// `body` is incomplete: the upstream's body ended early, was too long, or could not be decoded.
    package var isTruncated = false

    package init(
        status: Int, fields: [(name: String, value: String)] = [], contentType: String = "application/json",
        body: [UInt8], startedJob: RunningJob? = nil
    ) {
        self.status = status
        self.fields = fields
        self.contentType = contentType
        self.body = body
        self.startedJob = startedJob
    }
}
