import JSON

/// Called by libFuzzer with each input: JSON is JSON5 with the same meaning. A value that was read, written as JSON and
/// read again, is the same. The position of an error is in the text.
@c(LLVMFuzzerTestOneInput)
func fuzzJSON5(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let strict = written(bytes, .json)
    let lenient = written(bytes, .json5)
    if let strict { precondition(strict == lenient, "JSON means something else as JSON5") }
    if let lenient { precondition(written(lenient, .json) == lenient, "what was written is not what was read") }
    return 0
}

/// The value as the writer writes it; `nil` if the text is refused.
private func written(_ bytes: [UInt8], _ syntax: JSONSyntax) -> [UInt8]? {
    do throws(JSONError) {
        let value = try JSONValue.read(bytes.span, as: syntax, limits: JSONLimits(depth: 16, values: 200))
        precondition(0 <= value.range.lowerBound && value.range.upperBound <= bytes.count)
        var writer = JSONWriter()
        writer.value(value)
        return writer.bytes
    } catch {
        precondition(0 <= error.range.lowerBound && error.range.lowerBound <= error.range.upperBound)
        precondition(error.range.upperBound <= bytes.count && !error.message.isEmpty)
        return nil
    }
}
