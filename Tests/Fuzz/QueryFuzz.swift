@testable import Connectors

/// Called by libFuzzer with each input, first as a query, which selects at most one page; then as the value of a
/// parameter, which must be the same with each byte percent-encoded.
@c(LLVMFuzzerTestOneInput)
func fuzzQuery(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    do throws(APIError) {
        let query = try JobQuery(QueryParameters(of: Array("/jobs?".utf8) + bytes))
        precondition((1...100).contains(query.limit) && query.offset >= 0)
        precondition((query.connection?.utf8.count ?? 0) <= 512 && query.connection != "")
    } catch {
        precondition(error.status == 422 && !error.message.isEmpty)
    }
    // Longer values are refused because of their length.
    if bytes.count <= 600 { check(bytes, String(validating: bytes, as: UTF8.self)) }
    return 0
}

private func check(_ bytes: [UInt8], _ text: String?) {
    let digits = Array("0123456789abcdefABCDEF".utf8)
    let escaped = bytes.flatMap { byte in
        // Hex digits in both cases, so that both are read.
        [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15) + (byte & 15 > 9 && byte & 16 > 0 ? 6 : 0)]]
    }
    let target = Array("/jobs?other=1&connection_id=".utf8) + escaped
    do throws(APIError) {
        let value = try QueryParameters(of: target).value("connection_id", or: "connectionId")
        precondition(text != nil, "a value that is no text was read")
        precondition(bytes.isEmpty ? value == nil : value.map { Array($0.utf8) } == bytes, "another value was read")
    } catch {
        precondition(text == nil || bytes.count > 512, "a value was refused")
    }
}
