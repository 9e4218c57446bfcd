/// A request method (RFC 9110, section 9). The gateway does not support CONNECT and TRACE.
package enum HTTPMethod: UInt8, Sendable, CaseIterable {
    case get, head, post, put, patch, delete, options

    package var name: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .patch: "PATCH"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        }
    }

    /// Methods are case-sensitive; `nil` for an unsupported one.
    init?(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        guard range.count <= 8 else { return nil }
        var word: UInt64 = 0
        for index in range.reversed() { word = word << 8 | UInt64(bytes[index]) }
        switch word {
        case 0x0000_0000_0054_4547: self = .get
        case 0x0000_0000_4441_4548: self = .head
        case 0x0000_0000_5453_4F50: self = .post
        case 0x0000_0000_0054_5550: self = .put
        case 0x0000_0048_4354_4150: self = .patch
        case 0x0000_4554_454C_4544: self = .delete
        case 0x0053_4E4F_4954_504F: self = .options
        default: return nil
        }
    }

    /// The method changes nothing (RFC 9110, section 9.2.1).
    package var isSafe: Bool { self == .get || self == .head || self == .options }

    /// Two requests have the same effect as one (RFC 9110, section 9.2.2).
    package var isIdempotent: Bool { isSafe || self == .put || self == .delete }

    /// The name as bytes, made once.
    package var bytes: [UInt8] { HTTPMethod.spellings[Int(rawValue)] }

    private static let spellings = allCases.map { Array($0.name.utf8) }
}
