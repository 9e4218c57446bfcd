internal import Bytes

/// The log lines of one worker that are not yet in the queue. Used by its worker only.
package struct AccessLogBuffer {
    private var bytes: [UInt8] = []
    private var lines = 0
    private let queue: AccessLogQueue
    private let threshold: Int
    private var textSecond: Int64 = -1
    private var secondText: [UInt8] = []

    /// The buffer moves to the queue when it has `threshold` bytes.
    package init(queue: AccessLogQueue, threshold: Int = 32 << 10) {
        self.queue = queue
        self.threshold = threshold
        bytes.reserveCapacity(threshold + 2048)
    }

    /// Appends a request's line, and flushes the buffer if it is full. Also call ``flush()`` a few times a second.
    /// `head` is the request's head.
    package mutating func append(_ record: borrowing AccessRecord, head: Span<UInt8> = Span()) {
        bytes.append(text: "{\"time\":\"")
        appendTime(record.epochMilliseconds)
        AccessLogLine.appendAfterTime(of: record, head, to: &bytes)
        lines += 1
        if bytes.count >= threshold { flush() }
    }

    /// Appends a line for `count` suppressed lines. It has only the time, organization and client of the record.
    mutating func append(suppressedLines count: Int, _ record: borrowing AccessRecord) {
        AccessLogLine.append(suppressedLines: count, record, to: &bytes)
        lines += 1
    }

    /// The text of the second is cached, because formatting a date is expensive.
    private mutating func appendTime(_ epochMilliseconds: Int64) {
        let second = epochMilliseconds / 1000
        if second != textSecond {
            textSecond = second
            secondText.removeAll(keepingCapacity: true)
            secondText.append(timestampTo: Int(second))
        }
        bytes.append(contentsOf: secondText)
        bytes.append(timestampFrom: Int(epochMilliseconds - second * 1000))
    }

    /// Moves all lines to the queue.
    package mutating func flush() {
        guard lines > 0 else { return }
        queue.submit(bytes, lines: lines)
        lines = 0
        bytes = []
        bytes.reserveCapacity(threshold + 2048)
    }
}
