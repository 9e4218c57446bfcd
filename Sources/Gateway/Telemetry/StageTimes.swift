internal import Bytes

/// The duration of each stage of one request, in nanoseconds of the clock that the caller reads.
package struct StageTimes: Sendable {
    private var durations = InlineArray<12, UInt64>(repeating: 0)
    private var last: UInt64 = 0
    private(set) var start: UInt64 = 0

    package init() {}

    /// The first stage begins at `start`.
    package init(start: UInt64) {
        self.start = start
        last = start
    }

    /// A stage has ended, and the next one begins.
    package mutating func ended(_ stage: Stage, at now: UInt64) {
        durations[stage.index] += now > last ? now - last : 0
        last = max(now, last)
    }

    /// The time from the start to the end of the last stage.
    package var total: UInt64 { last - start }

    /// In nanoseconds; 0 if the stage has not ended. The times of a stage that ended more than once are added.
    package func duration(of stage: Stage) -> UInt64 { durations[stage.index] }

    private static let names = Stage.allCases.map { ",\"\($0.rawValue)\":" }
    private static let firstNames = Stage.allCases.map { "\"\($0.rawValue)\":" }

    /// Appends `{"route":1.5,...}` in microseconds. Stages that took no time are left out.
    func append(to buffer: inout [UInt8]) {
        buffer.append(UInt8(ascii: "{"))
        var isFirst = true
        for index in durations.indices where durations[index] > 0 {
            buffer.append(text: isFirst ? Self.firstNames[index] : Self.names[index])
            isFirst = false
            buffer.append(microseconds: durations[index])
        }
        buffer.append(UInt8(ascii: "}"))
    }
}
