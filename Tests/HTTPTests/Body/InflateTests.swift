import Bytes
import HTTP
import Testing

@Suite("Decompression")
struct InflateTests {
    /// What zlib made of a text.
    struct Sample: Sendable, CustomTestStringConvertible {
        let name: String
        let coding: ContentCoding
        let bytes: [UInt8]
        let text: String

        init(_ name: String, _ coding: ContentCoding, _ hex: String, _ text: String) {
            self.name = name
            self.coding = coding
            bytes = InflateTests.bytes(hex)
            self.text = text
        }

        var testDescription: String { name }
    }

    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8).compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    private func decode(_ bytes: [UInt8], _ coding: ContentCoding, limit: Int = 10_000) -> String? {
        Inflate.decode(bytes.span, coding: coding, limit: limit).map { String(decoding: $0, as: UTF8.self) }
    }

    private static let short = #"{"detail":"Sync already running"}"#
    private static let long =
        #"{"success":false,"error":{"code":"CONFLICT","message":"a job is running","details":["#
        + (0..<12).map { #"{"id":\#($0 * 7919 % 1000),"n":"job-\#($0)"}"# }.joined(separator: ",") + "]}}"

    static let samples: [Sample] = [
        Sample(
            "gzip", .gzip,
            "1f8b0800000000000003ab564a492d49cccc51b2520aaecc4b5648cc294a4d4ca954282acdcbcbcc4b57aa050096843a0d21"
                + "000000", short),
        Sample(
            "gzip, stored", .gzip,
            "1f8b0800000000000403012100deff7b2264657461696c223a2253796e6320616c72656164792072756e6e696e67227d9684"
                + "3a0d21000000", short),
        Sample(
            "gzip, dynamic codes", .gzip,
            "1f8b08000000000002034dcf310bc2301086e1bf526e8ed0344dd3642d0882e8e2260eb18d12a92924762afdef4684bbaecf"
                + "7d1cbc0ba4b9ef5d4a601e764c8e818b718a6016e8a7c18181ee7cda1f0fdd0518bcf3ce3e7f688bd7742f7c2ae21c820fcf"
                + "7c1cdcc7fa31ffb92ee007302583909779b72b61657fd45c1373e456b4c415b2928a582037aa21ae91a596c49298d7c40d72"
                + "2d04b14216b2226e912bc5893532d79b4a4e99bcdc66e6cedbba7e017b34956e6a010000", long),
        Sample(
            "gzip with every optional field", .gzip,
            "1f8b081f0000000000ff0400616200636e616d6500636f6d6d656e7400d04dab564a492d49cccc51b2520aaecc4b5648cc29"
                + "4a4d4ca954282acdcbcbcc4b57aa050096843a0d21000000", short),
        Sample(
            "gzip of nothing", .gzip,
            "1f8b080000000000000303000000000000000000", ""),
        Sample(
            "gzip, two members", .gzip,
            "1f8b0800000000000003ab564a492d49cccc51b2520aaecc4b5648cc294a4d4ca954282acdcbcbcc4b57aa050096843a0d21"
                + "0000001f8b08000000000000034dcf310bc2301086e1bf526e8ed0344dd3642d0882e8e2260eb18d12a92924762afdef4684"
                + "bbaecf7d1cbc0ba4b9ef5d4a601e764c8e818b718a6016e8a7c18181ee7cda1f0fdd0518bcf3ce3e7f688bd7742f7c2ae21c"
                + "820fcf7c1cdcc7fa31ffb92ee007302583909779b72b61657fd45c1373e456b4c415b2928a582037aa21ae91a596c49298d7"
                + "c40d722d04b14216b2226e912bc5893532d79b4a4e99bcdc66e6cedbba7e017b34956e6a010000", short + long),
        Sample(
            "zlib", .deflate,
            "789cab564a492d49cccc51b2520aaecc4b5648cc294a4d4ca954282acdcbcbcc4b57aa0500c5790bee", short),
        Sample(
            "zlib, dynamic codes", .deflate,
            "78da4dcf310bc2301086e1bf526e8ed0344dd3642d0882e8e2260eb18d12a92924762afdef4684bbaecf7d1cbc0ba4b9ef5d"
                + "4a601e764c8e818b718a6016e8a7c18181ee7cda1f0fdd0518bcf3ce3e7f688bd7742f7c2ae21c820fcf7c1cdcc7fa31ffb9"
                + "2ee007302583909779b72b61657fd45c1373e456b4c415b2928a582037aa21ae91a596c49298d7c40d722d04b14216b2226e"
                + "912bc5893532d79b4a4e99bcdc66e6cedbba7e01649364ed", long),
        Sample(
            "zlib, Huffman only", .deflate,
            "780105c1b16ac3301440d15f09777e022b8ee3f8ad8142a1b44bb7d2c18adc2091ea81d54c42ffde731af579bb6db5a23feb"
                + "a36ec2b6efb6a38d9bc50de5faf1fef2f67afd44f8dd6a5def1bca7ac8160ea91ef66729a9dc11e2f6b7a64745bf1a29a283"
                + "5050b20537d0a59122baf8452828d982f37469a4885ec68b5050b20577a44b2345749e66a1a0640b6ea44b2345f43c9f8582"
                + "922db8135d1a29a2d3320905255b70135d1a29a2933f0905255b7067ba3452444fe32814946cc1cd7469a4888ed3512828d9"
                + "82bbd0a591227a9cbd5050b205b7d0a59122ea97412828d982f3035d1a29a27e588482922d38efe9dfbdff03649364ed",
            long),
        Sample(
            "zlib, stored", .deflate,
            "7801012100deff7b2264657461696c223a2253796e6320616c72656164792072756e6e696e67227dc5790bee", short),
        Sample(
            "zlib of nothing", .deflate,
            "789c030000000001", ""),
        Sample(
            "zlib with a small window", .deflate,
            "1895ab564a492d49cccc51b2520aaecc4b5648cc294a4d4ca954282acdcbcbcc4b57aa0500c5790bee", short),
        Sample(
            "bare deflate", .deflate,
            "ab564a492d49cccc51b2520aaecc4b5648cc294a4d4ca954282acdcbcbcc4b57aa0500", short),
        Sample(
            "bare deflate, dynamic codes", .deflate,
            "4dcf310bc2301086e1bf526e8ed0344dd3642d0882e8e2260eb18d12a92924762afdef4684bbaecf7d1cbc0ba4b9ef5d4a60"
                + "1e764c8e818b718a6016e8a7c18181ee7cda1f0fdd0518bcf3ce3e7f688bd7742f7c2ae21c820fcf7c1cdcc7fa31ffb92ee0"
                + "07302583909779b72b61657fd45c1373e456b4c415b2928a582037aa21ae91a596c49298d7c40d722d04b14216b2226e912b"
                + "c5893532d79b4a4e99bcdc66e6cedbba7e01", long),
        Sample(
            "bare deflate, stored", .deflate,
            "012100deff7b2264657461696c223a2253796e6320616c72656164792072756e6e696e67227d", short),
    ]

    /// 300,000 zeros.
    private static let bomb = bytes(
        "1f8b0800000000000203edc1010d000000c2a0f74f6d0f071400000000000000000000000000000000000000000000000000"
            + "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            + "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            + "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            + "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            + "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            + "000000000000000000000000000000fc18fbe2b2f6e0930400"
    )

    @Test("Inflate: what zlib made is read", arguments: samples)
    func read(sample: Sample) {
        #expect(decode(sample.bytes, sample.coding) == sample.text)
    }

    @Test("Inflate: the content may be as long as the limit and not a byte longer", arguments: samples)
    func limit(sample: Sample) {
        let count = sample.text.utf8.count
        #expect(decode(sample.bytes, sample.coding, limit: count) == sample.text)
        for limit in Set([0, 1, count / 2, count - 1]) where limit >= 0 && limit < count {
            #expect(decode(sample.bytes, sample.coding, limit: limit) == nil)
        }
    }

    @Test("Inflate: a decompression bomb ends at the limit")
    func bombs() {
        #expect(Inflate.decode(Self.bomb.span, coding: .gzip, limit: 299_999) == nil)
        #expect(Inflate.decode(Self.bomb.span, coding: .gzip, limit: 65_536) == nil)
        let zeros = Inflate.decode(Self.bomb.span, coding: .gzip, limit: 300_000)
        #expect(zeros == [UInt8](repeating: 0, count: 300_000))
        // Many small ones add up.
        let members = Self.bomb + Self.bomb
        #expect(Inflate.decode(members.span, coding: .gzip, limit: 310_000) == nil)
    }

    @Test("Inflate: Content that is cut short is none", arguments: samples)
    func truncated(sample: Sample) {
        for count in sample.bytes.indices {
            let text = decode(Array(sample.bytes[..<count]), sample.coding)
            // Where a member ends the file may end.
            let isFirstMember = sample.name == "gzip, two members" && text == Self.short
            #expect(text == nil || isFirstMember, "\(count) bytes")
        }
    }

    @Test("Inflate: nothing may follow the content", arguments: samples)
    func surplus(sample: Sample) {
        for byte in [0, 0x1F, 0x78] as [UInt8] { #expect(decode(sample.bytes + [byte], sample.coding) == nil) }
    }

    @Test("Inflate: a changed bit is found, but where it means nothing", arguments: samples)
    func damaged(sample: Sample) {
        for index in sample.bytes.indices {
            for bit in 0..<8 {
                var mutant = sample.bytes
                mutant[index] ^= 1 << UInt8(bit)
                let text = decode(mutant, sample.coding)
                // Bare deflate has no checksum, and in a header of gzip there are a date and names that nobody reads.
                guard !sample.name.hasPrefix("bare"), text != nil, text != sample.text else { continue }
                Issue.record("bit \(bit) of byte \(index)")
            }
        }
    }

    @Test("Inflate: any changed byte gives a result", arguments: samples)
    func everyByteMutated(sample: Sample) {
        for index in sample.bytes.indices {
            for byte in stride(from: UInt8(0), through: 255, by: 51) {
                var mutant = sample.bytes
                mutant[index] = byte
                for coding in [ContentCoding.gzip, .deflate] {
                    let content = Inflate.decode(mutant.span, coding: coding, limit: 2000)
                    #expect((content?.count ?? 0) <= 2000)
                }
            }
        }
    }

    @Test("Inflate: what the formats forbid is refused", arguments: forbidden)
    func refuse(name: String, hex: String, coding: ContentCoding) {
        #expect(decode(Self.bytes(hex), coding) == nil, "\(name)")
    }

    static let forbidden: [(String, String, ContentCoding)] = [
        ("nothing", "", .gzip), ("nothing", "", .deflate), ("one byte", "1f", .gzip), ("one byte", "78", .deflate),
        ("another magic", "1f8c080000000000000303000000000000000000", .gzip),
        ("another method", "1f8b070000000000000303000000000000000000", .gzip),
        ("a reserved flag", "1f8b082000000000000303000000000000000000", .gzip),
        ("a wrong sum of the header", "1f8b0802000000000003a67703000000000000000000", .gzip),
        ("a wrong checksum", "1f8b080000000000000303000100000000000000", .gzip),
        ("a wrong length", "1f8b080000000000000303000000000001000000", .gzip),
        ("zlib with a preset dictionary", "78bb024d01274b042300080c024d", .deflate),
        ("zlib with a wrong checksum", "789c030000000002", .deflate),
        ("a block of the reserved type", "07", .deflate),
        ("a stored length without its complement", "010100ffff00", .deflate),
        ("a stored block that is too long", "010500faff00", .deflate),
        ("a distance before the start", "030200", .deflate), ("a length that does not exist", "1b0300", .deflate),
        ("a distance that does not exist", "63003e00", .deflate),
        ("codes of lengths that are over-full", "05e093244992244992000000", .deflate),
        ("codes of lengths that are not complete", "05e001010000000020000000", .deflate),
        ("a repeat of nothing", "05e005090000000020040000", .deflate),
        ("a repeat beyond the last code", "05e005090000000020fc7fed000000", .deflate),
        ("a block without an end", "05e005090000000020e8ffd5000000", .deflate),
        ("literals that are over-full", "05e005090000000020e8ffd3020000", .deflate),
        ("literals that are not complete", "05e005090000008000e8ffd3120000", .deflate),
        ("too many literals", "f5e001000000000000000000000000", .deflate),
        ("too many distances", "05fe01000000000000000000000000", .deflate),
        ("zeros", "0000000000", .deflate), ("ones", "ffffffffff", .deflate),
    ]

    @Test("Inflate: an empty gzip file is one, and so is an empty block")
    func empty() {
        #expect(decode(Self.bytes("1f8b080000000000000303000000000000000000"), .gzip) == "")
        #expect(decode(Self.bytes("0300"), .deflate) == "")
        #expect(decode(Self.bytes("0000 00ff ff03 00"), .deflate) == "")
        #expect(decode(Self.bytes("789c030000000001"), .deflate) == "")
        // With a sum of its header, and with a code of one symbol, which cannot be complete.
        #expect(decode(Self.bytes("1f8b0802000000000003a77703000000000000000000"), .gzip) == "")
        #expect(decode(Self.bytes("05e005090000000020fc7f2d00"), .deflate) == "")
    }

    @Test(
        "Inflate: codings are known by their names",
        arguments: [
            ("gzip", ContentCoding.gzip), ("X-GZIP", .gzip), ("Deflate", .deflate), ("br", nil), ("identity", nil),
            ("", nil),
            ("gzip, gzip", nil), ("gzip;q=1", nil),
        ])
    func names(name: String, coding: ContentCoding?) {
        let bytes = Array("x\(name)y".utf8)
        #expect(ContentCoding(bytes.span, 1..<bytes.count - 1) == coding)
    }
}
