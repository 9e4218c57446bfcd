extension ObjectReader {
    /// Parses the value of the field `name`, or a part of it, and reports an error of its notation.
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
