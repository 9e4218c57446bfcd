internal import HTTP

/// What the heads of a worker's responses have in common, made once a second instead of once a response.
final class ResponseHeads {
    /// `Date: ...` of this second, line end included.
    private(set) var dateLine: [UInt8] = []
    /// How nearly every response begins in HTTP/1.1: status 200, this second's date, and JSON of the length that follows.
    private(set) var usualPrefix: [UInt8] = []
    /// Tells whether each response is the last one of its connection.
    let drain: Drain
    let clock: WallClock

    init(clock: WallClock, drain: Drain = Drain()) {
        self.clock = clock
        self.drain = drain
    }

    /// Another second has begun.
    func tick(epochSeconds: Int64) {
        dateLine = HTTPDate.fieldLine(epochSeconds: Int(epochSeconds))
        usualPrefix = HTTPStatus.line(200) + dateLine + ResponseHeads.jsonLine
    }

    static let jsonLine = Array("Content-Type: application/json\r\nContent-Length: ".utf8)
}
