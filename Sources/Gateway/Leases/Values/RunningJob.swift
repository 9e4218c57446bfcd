/// A running job of the upstream, with its connection.
package struct RunningJob: Sendable {
    package let key: LeaseKey
    package let job: LeaseJob

    package init(key: LeaseKey, job: LeaseJob) {
        self.key = key
        self.job = job
    }
}
