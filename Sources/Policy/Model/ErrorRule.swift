/// How the gateway changes an upstream's error: one entry of `errors`, compiled.
///
/// Of a route's rules, in the order of their names, the first that matches applies. Without one, the error keeps its
/// status, code and message.
package struct ErrorRule: Equatable, Sendable {
    package let name: String
    /// The statuses that the rule matches.
    package let statuses: ClosedRange<Int>
    /// The path of a member of the JSON body; an empty path is the body as text; `nil`: the body does not matter.
    package let field: [String]?
    /// The pattern that the text at ``field`` must match: `*` stands for any characters; the case of ASCII letters does
    /// not matter. `nil`: any text, but there must be one.
    package let pattern: String?
    package let replacement: Replacement
    /// Whether the original error goes into `details.upstream`; `nil`: `upstream.errors` decides.
    package let showsOriginalError: Bool?
    /// `file:line` of the definition.
    package let source: String
    private let glob: Glob?

    /// The replaced parts of the error. `nil` keeps the upstream's value, or the catalogue's for the status.
    package struct Replacement: Equatable, Sendable {
        package let status: Int?
        package let code: String?
        package let message: String?
        /// Whole seconds, used if the upstream sends no `Retry-After`.
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
        showsOriginalError: Bool? = nil, source: String = ""
    ) {
        self.name = name
        self.statuses = statuses
        self.field = field
        self.pattern = pattern
        self.replacement = replacement
        self.showsOriginalError = showsOriginalError
        self.source = source
        glob = pattern.map(Glob.init)
    }

    /// Whether the rule matches an error of this status with this text at ``field``; `nil` if there is no text.
    ///
    /// The time is linear in the length of the text, whatever its content.
    package func matches(status: Int, text: String?) -> Bool {
        guard statuses.contains(status) else { return false }
        guard field != nil else { return true }
        guard let text else { return false }
        return glob?.matches(text.utf8.span) ?? true
    }
}
