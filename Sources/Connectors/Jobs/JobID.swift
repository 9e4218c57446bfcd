/// The format of job ids.
enum JobID {
    /// 122 random bits or more, in the format of the family: `job_` and 32 digits, or a UUID.
    static func text(_ first: UInt64, _ second: UInt64, isUUID: Bool) -> String {
        // Each trigger makes an id: the text is written once, into reserved memory.
        var text: [UInt8] = []
        text.reserveCapacity(36)
        guard isUUID else {
            for byte in "job_".utf8 { text.append(byte) }
            append(bytesOf: first, 0..<8, to: &text)
            append(bytesOf: second, 0..<8, to: &text)
            return String(decoding: text, as: UTF8.self)
        }
        // RFC 9562, section 5.4: version 4, variant 10.
        let first = first & ~(0xF0 << 48) | 0x40 << 48
        let second = second & ~0xC0 | 0x80
        let hyphen = UInt8(ascii: "-")
        append(bytesOf: first, 0..<4, to: &text)
        text.append(hyphen)
        append(bytesOf: first, 4..<6, to: &text)
        text.append(hyphen)
        append(bytesOf: first, 6..<8, to: &text)
        text.append(hyphen)
        append(bytesOf: second, 0..<2, to: &text)
        text.append(hyphen)
        append(bytesOf: second, 2..<8, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// Appends bytes of a word as two digits each, the lowest byte first.
    private static func append(bytesOf word: UInt64, _ range: Range<UInt64>, to text: inout [UInt8]) {
        for index in range {
            let byte = UInt8(truncatingIfNeeded: word >> (8 * index))
            text.append(digit(byte >> 4))
            text.append(digit(byte & 15))
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value
    }
}
