import Bytes

/// Checks the bytes of an accepted head: no other parser can find other lines in them. `lines` are the name and the
/// value of each field.
func checkLines(_ bytes: [UInt8], end: Int, lines: [(name: Range<Int>, value: Range<Int>)]) {
    precondition(end <= bytes.count)
    for (name, value) in lines {
        precondition(!name.isEmpty && bytes[name].allSatisfy(\.isTokenByte), "a name that is no token was accepted")
        precondition(bytes[name.upperBound] == UInt8(ascii: ":"), "a name without its colon was accepted")
        precondition(bytes[name.lowerBound - 1] == 10, "a name that does not begin its line was accepted")
        precondition(name.upperBound < value.lowerBound && value.upperBound <= end - 4)
        let ends = [bytes[value].first, bytes[value].last]
        precondition(!ends.contains(32) && !ends.contains(9), "a value has white space around it")
    }
    var count = 0
    for index in 0..<end {
        switch bytes[index] {
        case 13: precondition(bytes[index + 1] == 10, "a bare CR was accepted")
        case 10:
            precondition(index > 0 && bytes[index - 1] == 13, "a bare LF was accepted")
            count += 1
        case 9: break
        case let byte: precondition(byte >= 32 && byte != 127, "a control was accepted")
        }
    }
    precondition(bytes[..<end].suffix(4) == [13, 10, 13, 10])
    precondition(count == lines.count + 2 + (bytes[0] == 13 ? 1 : 0), "a line is missing")
}
