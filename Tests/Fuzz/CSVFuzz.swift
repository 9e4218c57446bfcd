@testable import Connectors

/// Called by libFuzzer with each input: the fields of a valid record, written in quotes and read again, are the same.
@c(LLVMFuzzerTestOneInput)
func fuzzCSV(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    guard let fields = CSVRecord.fields(of: bytes[...]) else { return 0 }
    precondition(!fields.isEmpty)
    // By bytes: a quote and a combining mark after it are one character.
    let written: [[UInt8]] = fields.map { field in [34] + field.utf8.flatMap { $0 == 34 ? [34, 34] : [$0] } + [34] }
    let again = CSVRecord.fields(of: Array(written.joined(separator: [UInt8(44)]))[...])
    precondition(again == fields, "what was written is not what was read")
    return 0
}
