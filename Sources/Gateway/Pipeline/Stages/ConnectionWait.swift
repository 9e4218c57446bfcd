internal import HTTP
internal import Policy
internal import Transport

/// How long one request may wait for its connection, and its place while it does.
struct ConnectionWait {
    /// The request's place; `nil` until it needs one.
    private(set) var place: QueuePlace?
    /// The time at which the request gets its 409.
    let deadline: Instant
    private let owner: ShareOwner?
    private var permit: WaitingPermit?

    /// The client's `Prefer: wait` counts as far as the route lets requests wait (RFC 7240, section 4.3). Without it, a request waits
    /// if the route says so.
    init(_ grant: Grant, _ request: borrowing Request, _ exchange: inout Exchange, now: Instant) {
        owner = grant.owner
        guard let maxWait = grant.route.onConflict.maxWait else {
            deadline = now
            return
        }
        let wanted = Preferences(request.head, request.headBytes).wait.map { Duration.seconds(min($0, 86_400)) }
        let granted = min(wanted ?? (grant.route.onConflict.response == .wait ? maxWait : .zero), maxWait)
        deadline = now + granted
        if wanted != nil { exchange.appliedWaitSeconds = Int(granted.components.seconds) }
    }

    /// Whether the request may take a place, and has none.
    func isWanted(now: Instant) -> Bool { place == nil && now < deadline && owner != nil }

    /// Takes a place on the connection. Returns `false` if the request may not wait, or has a place already and found its queue full.
    mutating func begin(on key: LeaseKey, of leases: LeaseTable, in room: WaitingRoom, _ loop: EventLoop) -> Bool {
        guard isWanted(now: loop.now), let owner, let permit = room.enter(owner) else { return false }
        self.permit = permit
        place = leases.place(on: key, for: loop)
        return true
    }

    /// The request has the connection. Returns whether it waited for it.
    mutating func ended() -> Bool {
        defer { leave() }
        return place != nil
    }

    /// Gives the place up, because the request waits for something else: others must not wait for that, too.
    mutating func leave() {
        place = nil
        permit = nil
    }
}
