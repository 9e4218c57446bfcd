/// A job of the upstream, and the connection it runs on.
package struct RunningJob: Sendable {
    package let key: LeaseKey
    package let job: LeaseJob

    package init(key: LeaseKey, job: LeaseJob) {
        self.key = key
        self.job = job
    }
}
