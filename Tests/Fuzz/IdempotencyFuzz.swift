@testable import Gateway

/// Called by libFuzzer with each input: a value of `Idempotency-Key`, and a record of the journal.
@c(LLVMFuzzerTestOneInput)
func fuzzIdempotency(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    checkKey(bytes)
    if let change = IdempotencyChange(bytes.span) {
        precondition(IdempotencyChange(change.record().span) == change, "a record is another one when it is written")
    }
    return 0
}

/// A key is 1 to 255 visible characters, and its quoted form names the same key.
private func checkKey(_ bytes: [UInt8]) {
    guard let key = try? IdempotencyKey(bytes.span) else { return }
    precondition((1...IdempotencyKey.maxLength).contains(key.bytes.count))
    precondition(key.bytes.allSatisfy { (0x21...0x7E).contains($0) })
    var quoted: [UInt8] = [UInt8(ascii: "\"")]
    for byte in key.bytes {
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { quoted.append(UInt8(ascii: "\\")) }
        quoted.append(byte)
    }
    quoted.append(UInt8(ascii: "\""))
    precondition((try? IdempotencyKey(quoted.span)) == key, "the quoted form names another key")
}
