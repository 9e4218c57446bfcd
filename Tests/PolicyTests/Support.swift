import Foundation
import Policy
import Testing

/// 2026-07-01T00:00:00Z, the time at which the tests take place.
let testNow: Int64 = 1_782_864_000

/// Stands in for SHA-256: different inputs have different outputs, as far as the tests can tell.
func stubHash(_ bytes: Span<UInt8>) -> [UInt8] {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for index in bytes.indices { hash = (hash ^ UInt64(bytes[index])) &* 0x100_0000_01B3 }
    return (0..<32).map { UInt8(truncatingIfNeeded: hash >> UInt64($0 % 8 * 8)) &+ UInt8($0) }
}

func load(_ texts: [String], now: Int64 = testNow) -> PolicyLoad {
    let files = texts.enumerated().map { PolicyFile(name: "policies/\($0).json5", bytes: Array($1.utf8)) }
    return PolicySet.load(files: files, sha256: stubHash, now: now)
}

/// Loads a set that has no errors.
func policySet(_ texts: String..., now: Int64 = testNow) throws -> PolicySet {
    switch load(texts, now: now) {
    case .loaded(let set, _): return set
    case .refused(let diagnostics):
        Issue.record("\(diagnostics.map(\.rendered).joined())")
        throw Unloaded()
    }
}

struct Unloaded: Error {}

/// The folder of the repository.
let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// The policy files that ship with the gateway.
func shippedFiles() throws -> [PolicyFile] {
    let folder = repository.appendingPathComponent("policies")
    let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".json5") }
    return try names.sorted().map {
        PolicyFile(name: "policies/\($0)", bytes: Array(try Data(contentsOf: folder.appendingPathComponent($0))))
    }
}

/// The digest whose 32 bytes are all `byte`.
func digest(_ byte: UInt8) -> TokenDigest? { TokenDigest([UInt8](repeating: byte, count: 32).span) }

/// A digest from its bytes. (The testing macros cannot look into an expression with a span.)
func digest(of bytes: [UInt8]) -> TokenDigest? { TokenDigest(bytes.span) }

/// The digest as a policy file has it.
func hex(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16)
    return String(repeating: digits.count == 1 ? "0" + digits : digits, count: 32)
}

extension RouteTable {
    func match(_ method: String, _ path: String) -> RouteMatch {
        match(method: Array(method.utf8).span, path: Array(path.utf8).span)
    }
}

extension PolicySet {
    func decide(
        _ method: String, _ path: String, _ credential: Credential = .missing, organization: String? = nil,
        now: Int64 = testNow
    ) -> Decision {
        decide(
            method: Array(method.utf8).span, path: Array(path.utf8).span, credential: credential,
            organizationHeader: organization, now: now)
    }
}
