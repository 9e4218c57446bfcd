import Foundation
import Policy
import Transport

/// `gateway serve`: joins all parts, and keeps them company until a signal ends it.
enum ServeCommand {
    /// Why the gateway does not serve: one line with the remedy.
    struct Refusal: Error {
        let line: String
        /// The words or variables cannot be understood; else the world is in the way.
        let isMisuse: Bool

        init(line: String, isMisuse: Bool = false) {
            // It may name a file, and somebody may have put the token where its name belongs.
            self.line = TokenMask.starred(line)
            self.isMisuse = isMisuse
        }

        /// Tells it; the exit status of the command.
        func tell(usage: String) -> Int32 {
            if isMisuse { return Help.refuse(line, usage: usage) }
            Help.complain(line)
            return 1
        }
    }

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
            let service = try await Service.start(arguments)
            await service.run(until: signals)
            SignalThread.leave()
        } catch let refusal as Refusal {
            return refusal.tell(usage: "gateway serve --help")
        } catch {
            Help.complain("\(error)")
        }
        return 1
    }
}
