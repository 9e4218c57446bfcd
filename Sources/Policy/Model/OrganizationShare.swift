/// Which organizations belong to a share of all of them.
///
/// Each organization has a fixed position for each limit, so a growing share keeps those that it had. The position depends
/// on the two names only: it is the same in every gateway, and after a restart. Different limits choose different organizations.
enum OrganizationShare {
    /// 0 to 9999; an organization belongs to a share of `n` hundredths of a percent if its position is less than `n`.
    static func position(of organization: String, in limit: String) -> Int {
        // FNV-1a. No client chooses these names, so the hash needs no secret.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        for byte in limit.utf8 { add(byte) }
        add(0)
        for byte in organization.utf8 { add(byte) }
        // FNV-1a mixes the last bytes into the high bits too little, so the bits are mixed once more.
        hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ hash >> 33) &* 0xc4ce_b9fe_1a85_ec53
        hash ^= hash >> 33
        return Int(hash.multipliedFullWidth(by: 10_000).high)
    }
}
