import Foundation
import Transport

/// `gateway serve`: joins all parts, and keeps them company until a signal ends it.
enum ServeCommand {
    /// Why the gateway does not serve: one line with the remedy.
    struct Refusal: Error {
        let line: String
    }

    static func run(_ words: [String], signals: Signals) async -> Int32 {
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
            let service = try await Service.start(arguments)
            await service.run(until: signals)
            return 0
        } catch let refusal as Refusal {
            Help.complain(refusal.line)
        } catch {
            Help.complain("\(error)")
        }
        return 1
    }
}
