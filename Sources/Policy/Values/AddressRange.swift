/// A range of IP addresses in CIDR notation, such as `10.0.0.0/8` or `::1`.
package struct AddressRange: Equatable, Sendable {
    /// Four or sixteen bytes; those beyond `prefixBits` are zero.
    package var bytes: [UInt8]
    /// The number of leading bits that an address must share with `bytes`: 0 to 32 for IPv4, 0 to 128 for IPv6.
    package var prefixBits: Int

    package init(bytes: [UInt8], prefixBits: Int) {
        self.bytes = bytes
        self.prefixBits = prefixBits
    }
}

extension AddressRange {
    /// Whether an address, as its four or sixteen bytes, lies in the range.
    ///
    /// An IPv4-mapped address, such as `::ffff:10.1.2.3` from a dual-stack socket, counts as IPv4.
    package func contains(_ address: [UInt8]) -> Bool {
        let address = IPAddress.unmapped(address)
        guard address.count == bytes.count else { return false }
        let whole = prefixBits / 8
        guard address[..<whole].elementsEqual(bytes[..<whole]) else { return false }
        let rest = prefixBits % 8
        return rest == 0 || (address[whole] ^ bytes[whole]) >> UInt8(8 - rest) == 0
    }

    /// Reads `10.0.0.0/8`, `2001:db8::/32` or a single address.
    init(reading text: String) throws(UnitError) {
        let help =
            "write a range such as \"10.0.0.0/8\" or \"2001:db8::/32\", or an address such as \"10.1.2.3\" or \"::1\""
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first.flatMap({ IPAddress.bytes(of: $0) }) else {
            throw UnitError(.badAddressRange, "\"\(text)\" is not a range of addresses", help)
        }
        var bits = address.count * 8
        if parts.count == 2 {
            guard let written = UInt8(parts[1]), String(written) == parts[1] else {
                throw UnitError(.badAddressRange, "\"\(text)\" is not a range of addresses", help)
            }
            guard written <= bits else {
                throw UnitError(
                    .outOfRange, "the prefix of this address must have at most \(bits) bits, not \(written)", help)
            }
            bits = Int(written)
        }
        let first = address.enumerated().map { $1 & Self.mask(ofByte: $0, prefixBits: bits) }
        guard first == address else {
            let range = "\(IPAddress.text(of: first))/\(bits)"
            throw UnitError(
                .badAddressRange, "the address has bits set beyond its prefix of \(bits)",
                "write \"\(range)\" for the range, or remove \"/\(bits)\" for the single address")
        }
        let plain = IPAddress.unmapped(address)
        // A range wider than all of IPv4 contains IPv6 addresses.
        guard plain.count == address.count || bits >= 96 else {
            self.init(bytes: address, prefixBits: bits)
            return
        }
        self.init(bytes: plain, prefixBits: bits - (address.count - plain.count) * 8)
    }

    private static func mask(ofByte index: Int, prefixBits: Int) -> UInt8 {
        let bits = min(8, max(0, prefixBits - index * 8))
        return bits == 0 ? 0 : UInt8.max << UInt8(8 - bits)
    }
}
