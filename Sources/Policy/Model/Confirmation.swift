/// Which requests of a route need a second step.
package struct Confirmation: Equatable, Sendable {
    /// A request needs it if one of them matches; if there are none, each request needs it.
    package let conditions: [Condition]

    /// A member of the JSON body, and what it must have.
    package struct Condition: Equatable, Sendable {
        package let name: String
        package let value: Value

        package init(name: String, value: Value) {
            self.name = name
            self.value = value
        }
    }

    package enum Value: Equatable, Sendable {
        /// Anything that is not `false` or `null`: some readers take `1` or `"true"` for true.
        case flag
        /// One of these words, in any case.
        case words([String])
    }

    package init(conditions: [Condition]) { self.conditions = conditions }

    package var names: [String] { conditions.map(\.name) }
}
