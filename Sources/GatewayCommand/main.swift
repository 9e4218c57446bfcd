import Foundation
import Transport

// Before anything else starts a thread: every later one inherits the blocked signals.
let signals = Signals()

@Sendable func run(_ arguments: [String], _ signals: Signals) async -> Int32 {
    let rest = Array(arguments.dropFirst())
    switch arguments.first {
    case nil, "serve": return await ServeCommand.run(rest, signals: signals)
    case let first? where first.hasPrefix("-") && first != "--help" && first != "-h" && first != "--version":
        // `gateway --listen ...` is `gateway serve --listen ...`.
        return await ServeCommand.run(arguments, signals: signals)
    case "connectors": return await ConnectorsCommand.run(rest, signals: signals)
    case "policy": return PolicyCommand.run(arguments: rest)
    case "token": return TokenCommand.run(rest)
    case "--version":
        print("gateway \(Help.version)")
        return 0
    case "--help", "-h", "help":
        print(Help.overview)
        return 0
    case let unknown?: return Help.refuse("there is no command \"\(unknown)\"", usage: "gateway --help")
    }
}

// Not an asynchronous main: once that has waited for something, its thread ends in a wait of the runtime's that lets all
// signals through (sigsuspend), and their default action ends the process. This thread keeps them blocked, for the task that
// asks for them.
Task.detached { [signals, arguments = Array(CommandLine.arguments.dropFirst())] in
    exit(await run(arguments, signals))
}
while true { pause() }
