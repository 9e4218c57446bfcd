internal import Bytes

/// The log lines one worker has written since it last handed them over. Stays on its worker.
package struct AccessLogBuffer {
    private var bytes: [UInt8] = []
    private var lines = 0
    private let queue: AccessLogQueue
    private let threshold: Int
    private var textSecond: Int64 = -1
    private var secondText: [UInt8] = []

    /// Hands its lines over once they have `threshold` bytes.
    package init(queue: AccessLogQueue, threshold: Int = 32 << 10) {
        self.queue = queue
        self.threshold = threshold
        bytes.reserveCapacity(threshold + 2048)
    }

    /// Appends a request's line, and hands the buffer over when it is full. Call ``flush()`` a few times a second too.
    /// `head` is that of the request.
    package mutating func append(_ record: borrowing AccessRecord, head: Span<UInt8> = Span()) {
        bytes.append(text: "{\"time\":\"")
        appendTime(record.epochMilliseconds)
        AccessLogLine.appendRest(of: record, head, to: &bytes)
        lines += 1
        if bytes.count >= threshold { flush() }
    }

    /// Appends a line that stands for others; only time, organization and client of the record are in it.
    mutating func append(suppressedLines count: Int, _ record: borrowing AccessRecord) {
        AccessLogLine.append(suppressedLines: count, record, to: &bytes)
        lines += 1
    }

    /// A date is dear and the same for a whole second.
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

    /// Hands over what there is.
    package mutating func flush() {
        guard lines > 0 else { return }
        queue.submit(bytes, lines: lines)
        lines = 0
        bytes = []
        bytes.reserveCapacity(threshold + 2048)
    }
}
