internal import Bytes

/// Numeric IP addresses as their bytes: four, or sixteen.
package enum IPAddress {
    /// Reads `192.0.2.1` or `2001:db8::1` (RFC 4291, section 2.2); `nil` for every other text, also for one with a zone.
    ///
    /// IPv4 is four decimal numbers without leading zeros: other notations of `inet_aton` (`127.1`, `0x7f.1`,
    /// `010.0.0.1`) mean different addresses to different programs.
    package static func bytes(of text: some StringProtocol) -> [UInt8]? {
        text.contains(":") ? sixteen(Substring(text)) : four(Substring(text))
    }

    private static func four(_ text: Substring) -> [UInt8]? {
        let numbers = text.split(separator: ".", omittingEmptySubsequences: false)
        guard numbers.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for number in numbers {
            guard let byte = UInt8(number), String(byte) == number else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    private static func sixteen(_ text: Substring) -> [UInt8]? {
        guard let gap = gap(in: text) else {
            return groups(of: text, mayEndInIPv4: true).flatMap { $0.count == 16 ? $0 : nil }
        }
        let after = text[gap...].dropFirst(2)
        guard let front = text.startIndex == gap ? [] : groups(of: text[..<gap], mayEndInIPv4: false),
            let back = after.isEmpty ? [] : groups(of: after, mayEndInIPv4: true), front.count + back.count <= 14
        else { return nil }
        return front + [UInt8](repeating: 0, count: 16 - front.count - back.count) + back
    }

    /// The position of `::`. A second one leaves an empty group, which is invalid.
    private static func gap(in text: Substring) -> Substring.Index? {
        text.indices.first { text[$0...].hasPrefix("::") }
    }

    private static func groups(of text: Substring, mayEndInIPv4: Bool) -> [UInt8]? {
        let groups = text.split(separator: ":", omittingEmptySubsequences: false)
        guard groups.count <= 8 else { return nil }
        var bytes: [UInt8] = []
        for (index, group) in groups.enumerated() {
            if mayEndInIPv4, index == groups.count - 1, group.contains(".") {
                guard let last = four(group) else { return nil }
                bytes += last
            } else {
                guard group.utf8.count <= 4, let value = UInt64(hex: group.utf8.span) else { return nil }
                bytes += [UInt8(value >> 8), UInt8(value & 0xFF)]
            }
        }
        return bytes
    }

    /// The four bytes of an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2); others unchanged.
    package static func unmapped(_ bytes: [UInt8]) -> [UInt8] {
        let isMapped =
            bytes.count == 16 && bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        return isMapped ? Array(bytes[12...]) : bytes
    }

    /// The canonical spelling (RFC 5952): `::` is the longest run of zeros, of equal ones the first.
    package static func text(of bytes: [UInt8]) -> String {
        guard bytes.count == 16 else { return bytes.map { String($0) }.joined(separator: ".") }
        let groups = (0..<8).map { UInt16(bytes[$0 * 2]) << 8 | UInt16(bytes[$0 * 2 + 1]) }
        var longest = 0..<0
        var start = 0
        for index in 0..<8 {
            if groups[index] != 0 {
                start = index + 1
            } else if index + 1 - start > longest.count {
                longest = start..<index + 1
            }
        }
        func hexadecimal(_ part: ArraySlice<UInt16>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard longest.count > 1 else { return hexadecimal(groups[...]) }
        return "\(hexadecimal(groups[..<longest.lowerBound]))::\(hexadecimal(groups[longest.upperBound...]))"
    }
}
