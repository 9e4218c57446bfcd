import Glibc
import HTTP
import Testing

/// What a head of either kind has: lines, of which the fields are all but the first and the last.
protocol ReadLines {
    /// Each as `name: value`.
    var fields: [String] { get }
    var end: Int { get }
    /// Whether this line, which is the first of all, may stand before the head.
    func skips(_ line: [UInt8]) -> Bool
}

/// What must hold of a reader of heads, whatever it reads.
struct HeadProperties<Head: ReadLines & Equatable, Refusal: Error & Equatable> {
    /// Reads bytes in pieces that end at these cuts, and at the end.
    private let read: ([UInt8], _ cuts: [Int]) -> Outcome<Head, Refusal>

    /// Bytes that no reader may be careless with.
    private let suspicious: [UInt8] = [
        0, 9, 10, 11, 13, 32, 35, 44, 45, 47, 58, 59, 63, 0x5F, 0x7F, 0x80, 0xE8, 0xFF,
    ]

    init(read: @escaping ([UInt8], _ cuts: [Int]) -> Outcome<Head, Refusal>) { self.read = read }

    /// `bytes`, which are more than a head, come to the same in two pieces, wherever cut, and byte by byte.
    func expectSameInTwo(_ bytes: [UInt8]) {
        let whole = read(bytes, [])
        #expect(whole != .incomplete)
        for cut in 0...bytes.count {
            #expect(read(bytes, [cut]) == whole, "cut at \(cut)")
        }
        #expect(read(bytes, Array(0..<bytes.count)) == whole)
    }

    /// The same with three pieces.
    func expectSameInThree(_ bytes: [UInt8]) {
        let whole = read(bytes, [])
        for first in 0..<bytes.count {
            for second in first..<bytes.count where read(bytes, [first, second]) != whole {
                Issue.record("cut at \(first) and \(second)")
            }
        }
    }

    /// A head needs its last byte, and none behind it.
    func expectEnd(_ bytes: [UInt8]) throws {
        for count in 0..<bytes.count {
            #expect(read(Array(bytes[..<count]), []) == .incomplete)
        }
        let alone = try #require(read(bytes, []).head)
        #expect(alone.end == bytes.count)
        for byte in UInt8.min...UInt8.max {
            #expect(read(bytes + [byte], []).head == alone)
        }
    }

    /// Whatever one byte is changed to, the reader answers, and what it accepts is well-formed.
    func expectSenseWithOneByteChanged(_ bytes: [UInt8]) {
        for index in bytes.indices {
            for byte in UInt8.min...UInt8.max {
                var mutant = bytes
                mutant[index] = byte
                let outcome = read(mutant, [])
                if case .head(let head) = outcome { expectWellFormed(head, mutant) }
                guard suspicious.contains(byte) else { continue }
                guard read(mutant, Array(index...min(index + 2, bytes.count))) != outcome else { continue }
                Issue.record("byte \(byte) at \(index) is judged otherwise in pieces")
            }
        }
    }

    /// Whatever byte is inserted or left out, the reader answers, and what it accepts is well-formed.
    func expectSenseWithOneByteMoreOrLess(_ bytes: [UInt8]) {
        for index in bytes.indices {
            for byte in suspicious {
                var mutant = bytes
                mutant.insert(byte, at: index)
                if case .head(let head) = read(mutant, []) { expectWellFormed(head, mutant) }
            }
            var mutant = bytes
            mutant.remove(at: index)
            if case .head(let head) = read(mutant, []) { expectWellFormed(head, mutant) }
        }
    }

    /// What any two readers must agree on: lines end in CR LF and nowhere else, and hold what their field says.
    private func expectWellFormed(_ head: Head, _ bytes: [UInt8]) {
        let accepted = bytes[..<head.end]
        var lines = accepted.split(separator: 10, omittingEmptySubsequences: false).dropLast()
        var isGood = lines.allSatisfy { $0.last == 13 && $0.dropLast().allSatisfy { $0 == 9 || $0 >= 32 && $0 != 127 } }
        if let first = lines.first, head.skips(Array(first)) { lines = lines.dropFirst() }
        isGood = isGood && lines.count == head.fields.count + 2 && lines.last == [13]
        for (line, field) in zip(lines.dropFirst(), head.fields) {
            let text = String(decoding: line.dropLast(), as: UTF8.self)
            let name = text.prefix { $0 != ":" }
            let value = text.dropFirst(name.count + 1).drop { " \t".contains($0) }
            let trimmed = String(value.reversed().drop { " \t".contains($0) }.reversed())
            isGood = isGood && field == "\(name): \(trimmed)" && !name.contains(" ")
        }
        if !isGood { Issue.record("accepted: \(String(decoding: accepted, as: UTF8.self).debugDescription)") }
    }
}

/// Lets `read` look at `bytes`, and at each of their beginnings, at the very end of the memory that may be read.
func expectNothingReadBehind(_ bytes: [UInt8], read: (Span<UInt8>) -> Void) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    // SAFETY: two fresh pages, of which only the first may be touched; the bytes stand at its end.
    let base = unsafe mmap(nil, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let pages = unsafe base else {
        Issue.record("no memory")
        return
    }
    defer { unsafe munmap(pages, 2 * page) }
    let isGuarded = unsafe mprotect(pages + page, page, PROT_NONE) == 0
    #expect(isGuarded)
    for count in 0...bytes.count {
        let start = unsafe pages + (page - count)
        unsafe start.copyMemory(from: bytes, byteCount: count)
        let buffer = unsafe UnsafeRawBufferPointer(start: start, count: count).bindMemory(to: UInt8.self)
        unsafe read(buffer.span)
    }
}
