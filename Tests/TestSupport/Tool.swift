internal import Foundation

/// Runs programs of the system.
package enum Tool {
    package struct Outcome: Sendable {
        package let status: Int32
        package let output: [UInt8]
        /// Standard error.
        package let complaints: String

        package var text: String { String(decoding: output, as: UTF8.self) }
    }

    /// Runs a program, found by its name, to its end. With `joinsErrors`, its standard error is part of `output`.
    package static func run(
        _ program: String, _ arguments: [String], input: String = "", joinsErrors: Bool = false
    ) throws -> Outcome {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [program] + arguments
        let (toProcess, fromProcess, complaints) = (Pipe(), Pipe(), Pipe())
        process.standardInput = toProcess
        process.standardOutput = fromProcess
        process.standardError = joinsErrors ? fromProcess : complaints
        try process.run()
        try? toProcess.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try? toProcess.fileHandleForWriting.close()
        if joinsErrors { try? complaints.fileHandleForWriting.close() }
        let output = fromProcess.fileHandleForReading.readDataToEndOfFile()
        // Standard error is short: it fits into the pipe.
        let text = complaints.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: Array(output), complaints: String(decoding: text, as: UTF8.self))
    }
}
