internal import HTTP
internal import Policy
internal import Transport

extension Request {
    /// The path up to its first variable, limited to the 256 bytes that a lease stores.
    func pathStart(for grant: Grant) -> String {
        let path = head.path
        let count = min(grant.captures.start ?? path.count, path.count, 256)
        return text(path.lowerBound..<path.lowerBound + count)
    }
}
