@testable import Connectors

/// What libFuzzer calls with each input: the fields of a record that could be read can be written, in quotes, and read again.
@c(LLVMFuzzerTestOneInput)
func fuzzCSV(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    guard let fields = CSVRecord.fields(of: bytes[...]) else { return 0 }
    precondition(!fields.isEmpty)
    let written = fields.map {
        "\"" + $0.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
    let again = CSVRecord.fields(of: Array(written.joined(separator: ",").utf8)[...])
    precondition(again == fields, "what was written is not what was read")
    return 0
}
