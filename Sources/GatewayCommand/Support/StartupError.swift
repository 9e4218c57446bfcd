import Policy

/// The reason why a command cannot start its work: one line, with the remedy.
struct StartupError: Error {
    let line: String
    /// The command line or a variable is wrong. `false` if a file, an address or the system is the reason.
    let isMisuse: Bool

    init(line: String, isMisuse: Bool = false) {
        // A name in the line may be a token that was put in the wrong place.
        self.line = TokenMask.masked(line)
        self.isMisuse = isMisuse
    }

    /// Prints the line, and returns the exit code of the command.
    func report(usage: String) -> Int32 {
        if isMisuse { return Help.refuse(line, usage: usage) }
        Help.report(line)
        return 1
    }
}
