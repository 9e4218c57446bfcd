import Foundation
import Transport

StandardStream.reserve()

/// The service that the arguments name, with the remaining words; `nil` if they name another command.
func serviceAskedFor(
    by arguments: [String]
) -> (run: @Sendable ([String], SignalThread) async -> Int32, words: [String])? {
    switch arguments.first {
    case nil: (ServeCommand.run, [])
    case "serve": (ServeCommand.run, Array(arguments.dropFirst()))
    case "connectors": (ConnectorsCommand.run, Array(arguments.dropFirst()))
    // `gateway --listen ...` is `gateway serve --listen ...`.
    case let first? where first.hasPrefix("-") && !["--help", "-h", "--version"].contains(first):
        (ServeCommand.run, arguments)
    default: nil
    }
}

func run(_ arguments: [String]) -> Int32 {
    let rest = Array(arguments.dropFirst())
    switch arguments.first {
    case "policy": return PolicyCommand.run(arguments: rest)
    case "token": return TokenCommand.run(rest)
    case "--version":
        print("gateway \(Help.version)")
        return 0
    case "--help", "-h", "help":
        print(Help.overview)
        return 0
    case let unknown: return Help.refuse("there is no command \"\(unknown ?? "")\"", usage: "gateway --help")
    }
}

let arguments = Array(CommandLine.arguments.dropFirst())
guard let service = serviceAskedFor(by: arguments) else {
    // A command that is no service keeps the default actions: SIGINT and SIGTERM end it at once.
    exit(run(arguments))
}
// This comes before any other thread starts: later threads inherit the blocked signals.
let signals = SignalThread(Signals())

// Not an asynchronous main: after its first wait, its thread calls sigsuspend in the runtime and unblocks all signals,
// whose default action ends the process. This thread keeps the signals blocked, so that the signal thread receives
// them.
Task.detached { [signals, service] in
    exit(await service.run(service.words, signals))
}
while true { pause() }
