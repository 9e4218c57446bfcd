import Foundation
import Transport

StandardStream.reserve()

/// The service that the arguments ask for, and the words that are left for it; `nil` where they ask for another command.
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
    // A command that only computes keeps what signals do by themselves: SIGINT and SIGTERM end it at once.
    exit(run(arguments))
}
// Before anything else starts a thread: every later one inherits the blocked signals.
let signals = SignalThread(Signals())

// Not an asynchronous main: once that has waited for something, its thread ends in a wait of the runtime's that lets all
// signals through (sigsuspend), and their default action ends the process. This thread keeps them blocked, for the one that
// takes them.
Task.detached { [signals, service] in
    exit(await service.run(service.words, signals))
}
while true { pause() }
