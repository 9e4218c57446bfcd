/// A hash of a name, the same in every policy set of this process. The seed is the process's own: nobody can search for
/// a second name with the same hash.
package func processKey(of name: String) -> UInt64 {
    var hasher = Hasher()
    hasher.combine(name)
    return UInt64(bitPattern: Int64(hasher.finalize()))
}
