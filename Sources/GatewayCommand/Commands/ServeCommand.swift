import Foundation
import Policy
import Transport

/// `gateway serve`: runs the gateway until a signal ends it.
enum ServeCommand {
    static func run(_ words: [String], signals: SignalThread) async -> Int32 {
        let arguments: Arguments
        do throws(Arguments.Misuse) {
            arguments = try Arguments(words, names: ["listen", "admin", "policies", "state", "workers"])
        } catch { return Help.refuse(error.reason, usage: "gateway serve --help") }
        if arguments.wantsHelp {
            print(Help.serve)
            return 0
        }
        if let stray = arguments.positional.first {
            return Help.refuse("\"\(stray)\" is not an option of serve", usage: "gateway serve --help")
        }
        do {
            let service = try await GatewayService.start(ServeOptions(arguments))
            service.banner.show()
            await service.run(until: signals)
            SignalThread.exit()
        } catch let error as StartupError {
            return error.report(usage: "gateway serve --help")
        } catch {
            Help.report("\(error)")
        }
        return 1
    }
}
