package import Journal
internal import Synchronization

/// The record of a request in progress. Whoever drops it without a conclusion leaves the record uncertain if the work may have
/// begun, and removes it otherwise.
package final class OpenRecord: Sendable {
    /// The disk cannot store the record now.
    package typealias Unavailable = RecordJournal.Unavailable

    private enum Progress: Equatable { case open, begun(isFollowed: Bool), concluded }

    private let table: IdempotencyTable
    let id: IdempotencyRecordID
    private let serial: UInt64
    private let position = Atomic<UInt64>(0)
    private let progress = Mutex(Progress.open)

    init(table: IdempotencyTable, id: IdempotencyRecordID, serial: UInt64) {
        self.table = table
        self.id = id
        self.serial = serial
    }

    deinit { giveUp() }

    /// The work may begin, under this lease if there is one. `follower` is in the lease and learns what becomes of it.
    func begin(_ work: IdempotencyWork?, follower: LeaseWaiter?) {
        progress.withLock { if $0 == .open { $0 = .begun(isFollowed: follower != nil) } }
        position.store(table.begin(id, serial, work, follower), ordering: .relaxed)
    }

    /// No work begins: the response shows `job`, which another request has started under the lease of `work`.
    func resolve(_ job: LeaseJob, of work: IdempotencyWork) {
        progress.withLock { $0 = .concluded }
        position.store(table.begin(id, serial, work, nil, as: .resolved(job)), ordering: .relaxed)
    }

    /// Suspends until the record would survive a crash; returns at once without a journal. Call it before anything is sent
    /// upstream: the next process must not execute the request again.
    package func waitUntilDurable() async throws(RecordJournal.Unavailable) {
        try await table.journal?.durable(position.load(ordering: .relaxed))
    }

    /// Whether a lease tells what became of the request.
    var isFollowed: Bool { progress.withLock { $0 == .begun(isFollowed: true) } }

    /// Whether the record would survive a crash now, for tests without the journal's thread.
    var isDurableForTest: Bool {
        table.journal?.isDurableForTest(position.load(ordering: .relaxed)) ?? true
    }

    /// Nobody will conclude the record any more.
    private func giveUp() {
        let isOpen = progress.withLock { $0 == .open }
        conclude(isOpen ? .foundNothing : .lost)
    }

    /// What became of the request. Only the first call counts.
    package func conclude(_ event: IdempotencyState.Event) {
        let isFirst = progress.withLock { progress in
            defer { progress = .concluded }
            return progress != .concluded
        }
        if isFirst { table.apply(event, to: id, serial) }
    }
}
