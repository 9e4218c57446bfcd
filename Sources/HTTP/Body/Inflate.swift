internal import Bytes

/// The content codings that the gateway can decode: it reads few bodies of an upstream, small and rarely compressed.
package enum ContentCoding: Sendable {
    /// RFC 1952; `x-gzip` is the same.
    case gzip
    /// The zlib format or bare deflate.
    case deflate

    /// The coding that a value of Content-Encoding names; `nil` for any other, and for a list.
    package init?(_ bytes: Span<UInt8>, _ value: Range<Int>) {
        if bytes.spells("gzip", in: value) || bytes.spells("x-gzip", in: value) {
            self = .gzip
        } else if bytes.spells("deflate", in: value) {
            self = .deflate
        } else {
            return nil
        }
    }
}

/// Decodes a whole body: gzip (RFC 1952) or deflate. The latter is the zlib format (RFC 1950) by RFC 9110, section
/// 8.4.1.2, and in practice also bare deflate (RFC 1951).
///
/// Small, not fast: it is for error bodies.
package enum Inflate {
    /// The content, or `nil` if `input` is damaged (checksums and lengths included), if bytes follow it, or as soon as
    /// the content is longer than `limit`.
    package static func decode(_ input: Span<UInt8>, coding: ContentCoding, limit: Int) -> [UInt8]? {
        var inflater = Inflater(input: input, limit: limit)
        do throws(InflateError) {
            switch coding {
            case .gzip: repeat { try inflater.readGzipMember() } while !inflater.isAtEnd
            case .deflate: try inflater.readZlibOrBareDeflate()
            }
        } catch {
            return nil
        }
        return inflater.isAtEnd ? inflater.output : nil
    }
}

extension Inflater {
    fileprivate mutating func readGzipMember() throws(InflateError) {
        let memberStart = index
        let contentStart = output.count
        guard try byte() == 0x1F, try byte() == 0x8B, try byte() == 8 else { throw InflateError() }
        let flags = try byte()
        // A reserved flag may announce a part that is not skipped here (RFC 1952, section 2.3.1.2).
        guard flags & 0xE0 == 0 else { throw InflateError() }
        for _ in 0..<6 { _ = try byte() }
        if flags & 0x04 != 0 {
            for _ in 0..<(try littleEndian(bytes: 2)) { _ = try byte() }
        }
        // A file name and a comment, each ended by a zero.
        for flag in [0x08, 0x10] as [UInt8] where flags & flag != 0 {
            while try byte() != 0 {}
        }
        if flags & 0x02 != 0 {
            let sum = CRC32.checksum(of: input.extracting(memberStart..<index)) & 0xFFFF
            guard try littleEndian(bytes: 2) == sum else { throw InflateError() }
        }
        try readBlocks(from: contentStart)
        let content = contentStart..<output.count
        guard try littleEndian(bytes: 4) == CRC32.checksum(of: output.span.extracting(content)),
            try littleEndian(bytes: 4) == UInt32(truncatingIfNeeded: content.count)
        else { throw InflateError() }
    }

    fileprivate mutating func readZlibOrBareDeflate() throws(InflateError) {
        guard hasZlibHeader else { return try readBlocks(from: 0) }
        _ = try byte()
        // No preset dictionary is known here.
        guard try byte() & 0x20 == 0 else { throw InflateError() }
        try readBlocks(from: 0)
        guard try littleEndian(bytes: 4).byteSwapped == Adler32.checksum(of: output.span) else { throw InflateError() }
    }

    /// Method 8 with a window of at most 32 KiB, and the check bits (RFC 1950, section 2.2). Bare deflate with such a
    /// first byte would be a stored block with padding that no encoder writes.
    private var hasZlibHeader: Bool {
        guard input.count >= 2, input[0] & 0x0F == 8, input[0] >> 4 <= 7 else { return false }
        return (Int(input[0]) << 8 | Int(input[1])) % 31 == 0
    }
}
