internal import HTTP

/// What the heads of a worker's responses have in common, whatever protocol writes them.
final class ResponseHeads {
    /// The value of `Date`, made once a second instead of once a response.
    private(set) var date: [UInt8] = []
    /// How nearly every HTTP/1.1 response of the gateway's own begins: status 200, the date, and JSON, up to its length.
    private(set) var http1Start: [UInt8] = []
    /// Whether each response is the last one of its connection.
    let drain: Drain
    let clock: WallClock

    init(clock: WallClock, drain: Drain = Drain()) {
        self.clock = clock
        self.drain = drain
    }

    /// A new second has begun.
    func tick(epochSeconds: Int64) {
        date = Array(HTTPDate.text(epochSeconds: Int(epochSeconds)).utf8)
        http1Start = HTTPStatus.line(200) + HTTP1Line.dateName + date + HTTP1Line.end + HTTP1Line.json
    }
}
