extension ObjectReader {
    /// Reads a text that is the value of `name`, or part of it; reports what its notation does not allow.
    func read<Value>(
        _ text: Located<String>, of name: String, _ parse: (String) throws(UnitError) -> Value
    ) -> Value? {
        do throws(UnitError) { return try parse(text.value) } catch {
            if error.isSecret { diagnostics.conceal(text.span) }
            diagnostics.error(error.code, "\"\(name)\" of \(owner): \(error.message)", at: text.span, help: error.help)
            return nil
        }
    }
}
