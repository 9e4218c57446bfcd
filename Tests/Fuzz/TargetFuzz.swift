import Foundation

@testable import Connectors
@testable import Policy

/// Called by libFuzzer with each input: the first byte chooses a method, the rest is a path. No path is routed that
/// another parser could read differently, and the connector service reads the path as the routes do.
@c(LLVMFuzzerTestOneInput)
func fuzzTarget(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    guard let first = bytes.first else { return 0 }
    let path = Array(bytes.dropFirst())
    let methods = ["GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "get"]
    let method = Array(methods[Int(first) % methods.count].utf8)
    // The service reads each target that it receives, routed or not.
    let read = ConnectorRoute(path)
    for range in [read.organization, read.connection, read.job].compactMap(\.self) {
        precondition(range.upperBound <= path.count, "the service reads beyond the target")
    }
    guard case .route(_, let captures) = table.match(method: method.span, path: path.span) else { return 0 }
    check(path, captures)
    if let servicePath = captures.servicePath {
        let given = ConnectorRoute(
            path: servicePath, organization: captures.organization, connection: captures.connection, job: captures.job)
        precondition(read == given, "the service reads \(read), and the routes \(given)")
    }
    return 0
}

private func check(_ path: [UInt8], _ captures: RouteCaptures) {
    let segments = String(decoding: path, as: UTF8.self).split(separator: "/", omittingEmptySubsequences: false)
    precondition(segments.first == "", "a path without a slash was routed")
    precondition(!segments.dropFirst().dropLast().contains(""), "an empty segment was routed")
    precondition(!segments.contains(".") && !segments.contains(".."), "a segment of dots was routed")
    precondition(path.allSatisfy { byte in byte > 0x20 && byte < 0x7F && !#"%;\?#<>"{}|^`"#.utf8.contains(byte) })
    for range in [captures.organization, captures.connection, captures.job].compactMap(\.self) {
        precondition(!range.isEmpty && range.upperBound <= path.count && !path[range].contains(UInt8(ascii: "/")))
        precondition(path[range.lowerBound - 1] == UInt8(ascii: "/"), "a variable does not begin its segment")
        precondition(range.upperBound == path.count || path[range.upperBound] == UInt8(ascii: "/"))
    }
}

/// The routes of the shipped policies.
private let table: RouteTable = {
    let folder = "policies"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let files = names.filter { $0.hasSuffix(".json5") }.compactMap { name in
        FileManager.default.contents(atPath: "\(folder)/\(name)").map { PolicyFile(name: name, bytes: Array($0)) }
    }
    let load = PolicySet.load(
        files: files, sha256: { _ in Array(repeating: 0, count: 32) }, now: 0, servicePaths: ConnectorRoute.paths)
    guard case .loaded(let set, _) = load else { preconditionFailure("the shipped policies do not load") }
    return set.routes
}()
