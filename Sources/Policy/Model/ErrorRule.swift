/// What an upstream's error becomes: one entry of `errors`, compiled for the routes it is on.
///
/// The first rule of a route that matches decides, in the order of their names; without one the error keeps its status, code
/// and message.
package struct ErrorRule: Equatable, Sendable {
    package let name: String
    /// The statuses it is about.
    package let statuses: ClosedRange<Int>
    /// The members to follow into the JSON body; `nil`: the body does not matter. An empty path is the body as text.
    package let field: [String]?
    /// What the text there must be: `*` stands for any characters, upper and lower case of ASCII are the same. `nil`: any
    /// text, but there must be one.
    package let pattern: String?
    package let replacement: Replacement
    /// Whether the original goes into `details.upstream`; `nil`: as `upstream.showsErrors` says.
    package let showsUpstream: Bool?
    /// `file:line` of the definition.
    package let source: String
    private let glob: Glob?

    /// What the client gets. `nil` keeps what the upstream sent, or what the catalogue has for the status.
    package struct Replacement: Equatable, Sendable {
        package let status: Int?
        package let code: String?
        package let message: String?
        /// Whole seconds, where the upstream sends no `Retry-After`.
        package let retryAfterSeconds: Int?

        package init(status: Int?, code: String?, message: String?, retryAfterSeconds: Int?) {
            self.status = status
            self.code = code
            self.message = message
            self.retryAfterSeconds = retryAfterSeconds
        }
    }

    package init(
        name: String, statuses: ClosedRange<Int>, field: [String]? = nil, pattern: String? = nil,
        replacement: Replacement,
        showsUpstream: Bool? = nil, source: String = ""
    ) {
        self.name = name
        self.statuses = statuses
        self.field = field
        self.pattern = pattern
        self.replacement = replacement
        self.showsUpstream = showsUpstream
        self.source = source
        glob = pattern.map(Glob.init)
    }

    /// Whether the rule is about an error of this status with this text at ``field``: `nil` where there is none.
    ///
    /// Takes time in proportion to the length of the text, whatever is in it. Of the rules of a route the first that
    /// matches decides.
    package func matches(status: Int, text: String?) -> Bool {
        guard statuses.contains(status) else { return false }
        guard field != nil else { return true }
        guard let text else { return false }
        return glob?.matches(text.utf8.span) ?? true
    }
}
