/// A number for a name in the policy, the same in each set of this process. It is made with a seed that is the process's own:
/// nobody can look for a name with the number of another one.
package func processKey(of name: String) -> UInt64 {
    var hasher = Hasher()
    hasher.combine(name)
    return UInt64(bitPattern: Int64(hasher.finalize()))
}
