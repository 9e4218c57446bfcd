internal import Bytes

/// The input is invalid or too short, or the output would exceed its limit.
struct InflateError: Error {}

/// Decodes deflate blocks (RFC 1951) from the front of its input, which it reads bit by bit.
///
/// Whatever the input is, the work is bounded by its length and the limit of the output.
struct Inflater: ~Escapable {
    let input: Span<UInt8>
    /// The offset of the next byte; `bits` may hold bits of the previous one.
    private(set) var index = 0
    private(set) var output: [UInt8] = []
    private let limit: Int
    private var bits: UInt32 = 0
    private var bitCount = 0

    @_lifetime(copy input)
    init(input: Span<UInt8>, limit: Int) {
        self.input = input
        self.limit = limit
    }

    var isAtEnd: Bool { index == input.count }

    mutating func byte() throws(InflateError) -> UInt8 {
        guard index < input.count else { throw InflateError() }
        defer { index += 1 }
        return input[index]
    }

    /// A number of up to four bytes, the lowest first.
    mutating func littleEndian(bytes count: Int) throws(InflateError) -> UInt32 {
        var number: UInt32 = 0
        for position in 0..<count { number |= UInt32(try byte()) << UInt32(8 * position) }
        return number
    }

    /// Reads blocks through the last one, and the padding of its last byte. They must not refer to output before
    /// `start`.
    mutating func readBlocks(from start: Int) throws(InflateError) {
        var isLast = false
        while !isLast {
            isLast = try take(1) == 1
            switch try take(2) {
            case 0: try readStoredBlock()
            case 1:
                try readBlock(literals: HuffmanCode.fixedLiterals, distances: HuffmanCode.fixedDistances, from: start)
            case 2:
                let (literals, distances) = try readCodes()
                try readBlock(literals: literals, distances: distances, from: start)
            default: throw InflateError()
            }
        }
        dropRestOfByte()
    }

    private mutating func readStoredBlock() throws(InflateError) {
        dropRestOfByte()
        let count = Int(try littleEndian(bytes: 2))
        guard try littleEndian(bytes: 2) == ~UInt32(count) & 0xFFFF else { throw InflateError() }
        guard count <= input.count - index, count <= limit - output.count else { throw InflateError() }
        output.append(input, index..<index + count)
        index += count
    }

    private mutating func readBlock(
        literals: HuffmanCode, distances: HuffmanCode, from start: Int
    ) throws(InflateError) {
        while true {
            let symbol = try decode(literals)
            if symbol == HuffmanCode.endOfBlock { return }
            if symbol < HuffmanCode.endOfBlock {
                guard output.count < limit else { throw InflateError() }
                output.append(UInt8(symbol))
                continue
            }
            guard symbol - 257 < Inflater.lengths.count else { throw InflateError() }
            let (length, lengthBits) = Inflater.lengths[symbol - 257]
            let count = length + Int(try take(lengthBits))
            let distanceSymbol = try decode(distances)
            guard distanceSymbol < Inflater.distances.count else { throw InflateError() }
            let (base, distanceBits) = Inflater.distances[distanceSymbol]
            let distance = base + Int(try take(distanceBits))
            guard distance <= output.count - start, count <= limit - output.count else { throw InflateError() }
            // One byte at a time: the copy may include bytes that it has just written.
            for _ in 0..<count { output.append(output[output.count - distance]) }
        }
    }

    /// The codes of a block that defines its own (RFC 1951, section 3.2.7).
    private mutating func readCodes() throws(InflateError) -> (literals: HuffmanCode, distances: HuffmanCode) {
        let literalCount = Int(try take(5)) + 257
        let distanceCount = Int(try take(5)) + 1
        let orderCount = Int(try take(4)) + 4
        guard literalCount <= 286, distanceCount <= 30 else { throw InflateError() }
        var lengths = [UInt8](repeating: 0, count: 19)
        for position in Inflater.order.prefix(orderCount) { lengths[position] = UInt8(try take(3)) }
        let code = try HuffmanCode(lengths: lengths[...], isComplete: true)
        lengths.removeAll(keepingCapacity: true)
        while lengths.count < literalCount + distanceCount {
            let symbol = try decode(code)
            let value: UInt8
            let count: Int
            switch symbol {
            case 0..<16: (value, count) = (UInt8(symbol), 1)
            case 16:
                guard let last = lengths.last else { throw InflateError() }
                (value, count) = (last, 3 + Int(try take(2)))
            case 17: (value, count) = (0, 3 + Int(try take(3)))
            default: (value, count) = (0, 11 + Int(try take(7)))
            }
            guard count <= literalCount + distanceCount - lengths.count else { throw InflateError() }
            for _ in 0..<count { lengths.append(value) }
        }
        // A block must have a code for its end.
        guard lengths[HuffmanCode.endOfBlock] != 0 else { throw InflateError() }
        return (
            try HuffmanCode(lengths: lengths[..<literalCount]), try HuffmanCode(lengths: lengths[literalCount...])
        )
    }

    /// Decodes the next symbol, from the shortest code to the longest.
    private mutating func decode(_ code: HuffmanCode) throws(InflateError) -> Int {
        var spelled = 0
        var first = 0
        var offset = 0
        for length in 1...HuffmanCode.longest {
            spelled = spelled << 1 | Int(try take(1))
            first <<= 1
            let count = code.counts[length]
            if spelled - first < count { return Int(code.symbols[offset + spelled - first]) }
            first += count
            offset += count
        }
        throw InflateError()
    }

    /// Reads up to 13 bits, the first one lowest.
    private mutating func take(_ count: Int) throws(InflateError) -> UInt32 {
        while bitCount < count {
            bits |= UInt32(try byte()) << UInt32(bitCount)
            bitCount += 8
        }
        defer {
            bits >>= UInt32(count)
            bitCount -= count
        }
        return bits & (1 << UInt32(count) - 1)
    }

    private mutating func dropRestOfByte() {
        bits = 0
        bitCount = 0
    }

    /// The symbols from 257 on: a length, and the number of bits that are added to it.
    private static let lengths: [(Int, Int)] = [
        (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0), (11, 1), (13, 1), (15, 1), (17, 1), (19, 2),
        (23, 2), (27, 2), (31, 2), (35, 3), (43, 3), (51, 3), (59, 3), (67, 4), (83, 4), (99, 4), (115, 4), (131, 5),
        (163, 5), (195, 5), (227, 5), (258, 0),
    ]
    private static let distances: [(Int, Int)] = [
        (1, 0), (2, 0), (3, 0), (4, 0), (5, 1), (7, 1), (9, 2), (13, 2), (17, 3), (25, 3), (33, 4), (49, 4), (65, 5),
        (97, 5), (129, 6), (193, 6), (257, 7), (385, 7), (513, 8), (769, 8), (1025, 9), (1537, 9), (2049, 10),
        (3073, 10), (4097, 11), (6145, 11), (8193, 12), (12289, 12), (16385, 13), (24577, 13),
    ]
    /// The order of the lengths in the code for code lengths.
    private static let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
}

/// A canonical Huffman code (RFC 1951, section 3.2.2).
struct HuffmanCode {
    static let longest = 15
    static let endOfBlock = 256

    /// The number of symbols with a code of each length.
    let counts: [Int]
    /// The symbols in the order of their codes.
    let symbols: [UInt16]

    /// `lengths` are the code lengths of the symbols from 0 on; 0: the symbol does not occur. Unless `isComplete`, a
    /// code may be incomplete if it has one symbol of one bit, or no symbol, as when there are no distances.
    init(lengths: ArraySlice<UInt8>, isComplete: Bool = false) throws(InflateError) {
        var counts = [Int](repeating: 0, count: HuffmanCode.longest + 1)
        for length in lengths { counts[Int(length)] += 1 }
        counts[0] = 0
        var left = 1
        for count in counts[1...] {
            left = left << 1 - count
            guard left >= 0 else { throw InflateError() }
        }
        let used = counts.reduce(0, +)
        guard left == 0 || !isComplete && used == counts[1] else { throw InflateError() }
        var positions = [Int](repeating: 0, count: HuffmanCode.longest + 1)
        for length in 1..<HuffmanCode.longest { positions[length + 1] = positions[length] + counts[length] }
        var symbols = [UInt16](repeating: 0, count: used)
        for (symbol, length) in lengths.enumerated() where length != 0 {
            symbols[positions[Int(length)]] = UInt16(symbol)
            positions[Int(length)] += 1
        }
        self.counts = counts
        self.symbols = symbols
    }

    private init(complete lengths: [UInt8]) {
        do throws(InflateError) { self = try HuffmanCode(lengths: lengths[...], isComplete: true) } catch {
            preconditionFailure("the fixed codes are complete")
        }
    }

    /// The codes of a block that defines none (RFC 1951, section 3.2.6).
    static let fixedLiterals = HuffmanCode(
        complete: (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 })
    static let fixedDistances = HuffmanCode(complete: [UInt8](repeating: 5, count: 32))
}
