import Foundation
import Transport

// Before anything else starts a thread: every later one inherits the blocked signals.
let signals = Signals()

let arguments = Array(CommandLine.arguments.dropFirst())
let rest = Array(arguments.dropFirst())
let status: Int32
switch arguments.first {
case nil, "serve": status = await ServeCommand.run(rest, signals: signals)
case let first? where first.hasPrefix("-") && first != "--help" && first != "-h" && first != "--version":
    // `gateway --listen ...` is `gateway serve --listen ...`.
    status = await ServeCommand.run(arguments, signals: signals)
case "connectors": status = await ConnectorsCommand.run(rest, signals: signals)
case "policy": status = PolicyCommand.run(arguments: rest)
case "token": status = TokenCommand.run(rest)
case "--version":
    print("gateway \(Help.version)")
    status = 0
case "--help", "-h", "help":
    print(Help.overview)
    status = 0
case let unknown?: status = Help.refuse("there is no command \"\(unknown)\"", usage: "gateway --help")
}
exit(status)
