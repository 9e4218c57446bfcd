import HTTP

/// Called by libFuzzer with each input: the content must fit into the limit, and must not depend on the limit.
@c(LLVMFuzzerTestOneInput)
func fuzzInflate(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    for coding in [ContentCoding.gzip, .deflate] {
        guard let content = Inflate.decode(bytes.span, coding: coding, limit: 65536) else { continue }
        precondition(content.count <= 65536, "there is more content than may be")
        let exact = Inflate.decode(bytes.span, coding: coding, limit: content.count)
        precondition(exact == content, "with a smaller limit it is other content")
        guard !content.isEmpty else { continue }
        let less = Inflate.decode(bytes.span, coding: coding, limit: content.count - 1)
        precondition(less == nil, "more content than the limit allows")
        precondition(Inflate.decode((bytes + [0]).span, coding: coding, limit: 65536) == nil, "something followed it")
    }
    return 0
}
