import Policy

/// Why a command does not start its work: one line with the remedy.
struct StartupError: Error {
    let line: String
    /// The words or variables cannot be understood; else the world is in the way.
    let isMisuse: Bool

    init(line: String, isMisuse: Bool = false) {
        // It may name a file, and somebody may have put the token where its name belongs.
        self.line = TokenMask.masked(line)
        self.isMisuse = isMisuse
    }

    /// Tells it; the exit status of the command.
    func report(usage: String) -> Int32 {
        if isMisuse { return Help.refuse(line, usage: usage) }
        Help.report(line)
        return 1
    }
}
