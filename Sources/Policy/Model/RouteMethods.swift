/// A set of the methods that routes can have.
struct RouteMethods: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }

    static let get = RouteMethods(rawValue: 1)
    static let head = RouteMethods(rawValue: 2)
    static let post = RouteMethods(rawValue: 4)
    static let put = RouteMethods(rawValue: 8)
    static let patch = RouteMethods(rawValue: 16)
    static let delete = RouteMethods(rawValue: 32)
    static let options = RouteMethods(rawValue: 64)
    /// The methods of `*`. `HEAD` is not one: it follows `GET`, which may belong to another route.
    static let any: RouteMethods = [.get, .post, .put, .patch, .delete]

    /// The members in the order in which `Allow` lists them.
    static let named: [(method: RouteMethods, name: String)] = [
        (.get, "GET"), (.head, "HEAD"), (.post, "POST"), (.put, "PUT"), (.patch, "PATCH"), (.delete, "DELETE"),
        (.options, "OPTIONS"),
    ]

    /// The method of a request; empty if no route can have it.
    init(naming method: Span<UInt8>) {
        guard (3...7).contains(method.count) else {
            self = []
            return
        }
        var word: UInt64 = 0
        for index in method.indices { word = word << 8 | UInt64(method[index]) }
        self =
            switch word {
            case 0x47_4554: .get
            case 0x48_4541_44: .head
            case 0x50_4F53_54: .post
            case 0x50_5554: .put
            case 0x50_4154_4348: .patch
            case 0x44_454C_4554_45: .delete
            case 0x4F_5054_494F_4E53: .options
            default: []
            }
    }

    /// The value of `Allow`.
    var allow: String {
        Self.named.filter { contains($0.method) }.map(\.name).joined(separator: ", ")
    }

    /// The position of a single method in a table.
    var index: Int { rawValue.trailingZeroBitCount }
}
