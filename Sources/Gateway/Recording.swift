internal import HTTP
internal import Policy
internal import Transport

// The last stage: the request is counted and logged, whatever became of it.
extension Worker {
    /// A stage is over. Costs a look at the clock, and so nothing where no log line will show it.
    func mark(_ stage: Stage, _ exchange: inout Exchange) {
        if exchange.policies.accessLog == .all { exchange.times.ended(stage, at: Instant.now().nanoseconds) }
    }

    func record(_ exchange: consuming Exchange, _ connection: borrowing ServerConnection, _ response: Response) {
        exchange.times.ended(.record, at: Instant.now().nanoseconds)
        exchange.policies.counters(of: exchange.route).record(
            status: response.status, stage: exchange.endingStage, duration: exchange.times.total)
        counts.add(UInt64(connection.head.end + exchange.bodyBytes), to: .bytesIn)
        counts.add(UInt64(exchange.bytesOut), to: .bytesOut)
        let isLogged =
            switch exchange.policies.accessLog {
            case .all: true
            case .errors: response.status >= 400
            case .off: false
            }
        if isLogged { log(exchange, connection, response) }
    }

    private func log(_ exchange: borrowing Exchange, _ connection: borrowing ServerConnection, _ response: Response) {
        var record = AccessRecord()
        record.epochMilliseconds = milliseconds()
        record.traceID = exchange.trace.traceID
        record.organization = exchange.organization?.id
        record.tokenID = exchange.principal?.tokenID
        record.operation = exchange.route?.id
        record.connection = exchange.connection
        record.method = exchange.endingStage == .head ? nil : connection.head.method.name
        record.status = response.status
        record.code = response.errorCode
        record.origin = exchange.origin
        record.cause = exchange.cause
        record.upstream = exchange.endpoint?.name
        record.attempts = exchange.attempts
        record.stage = exchange.endingStage
        record.policyVersion = exchange.policies.shortVersion
        record.bytesIn = connection.head.end + exchange.bodyBytes
        record.bytesOut = exchange.bytesOut
        record.times = exchange.times
        accessLog.append(record)
    }
}
