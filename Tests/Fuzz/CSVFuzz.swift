@testable import Connectors

/// What libFuzzer calls with each input: the fields of a record that could be read can be written, in quotes, and read again.
@c(LLVMFuzzerTestOneInput)
func fuzzCSV(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    guard let fields = CSVRecord.fields(of: bytes[...]) else { return 0 }
    precondition(!fields.isEmpty)
    // By bytes: a quote and a mark that combines with it are one character.
    let written: [[UInt8]] = fields.map { field in [34] + field.utf8.flatMap { $0 == 34 ? [34, 34] : [$0] } + [34] }
    let again = CSVRecord.fields(of: Array(written.joined(separator: [UInt8(44)]))[...])
    precondition(again == fields, "what was written is not what was read")
    return 0
}
