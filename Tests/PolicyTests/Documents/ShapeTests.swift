import Testing

@testable import Policy

@Suite("Shapes of policy files")
struct ShapeTests {
    @Test("Policy file shapes: each object stands in a field of another one", arguments: Shape.allCases)
    func places(shape: Shape) throws {
        let names = shape.rawValue.split(separator: ".").map(String.init)
        #expect(Set(shape.fields).count == shape.fields.count)
        guard let field = names.lastIndex(where: { $0 != "*" }) else { return }
        let owner = try #require(Shape(rawValue: names[..<field].joined(separator: ".")), "\(shape)")
        #expect(owner.fields.contains(names[field]))
    }

    @Test(
        "Policy file shapes: names of probable policy files are distinguished from other names",
        arguments: [
            ("a.json5", .policy), (".a.json5", .other), ("a.JSON5", .misnamed), ("a.json", .misnamed),
            ("a.Yaml", .misnamed),
            ("a.yml", .misnamed), ("a.jsonc", .misnamed), ("a.json5.txt", .misnamed), ("a.json5~", .other),
            (".a.json5.swp", .other), ("a.json5.swp", .other), ("a.json5.bak", .other), (".a.yaml", .other),
            ("README.md", .other), ("ca.pem", .other), ("#a.json5#", .other), ("json5", .other),
        ] as [(String, PolicyFile.Role)])
    func roles(name: String, role: PolicyFile.Role) {
        #expect(PolicyFile.role(of: name) == role)
    }

    @Test(
        "Policy file shapes: a thousand fields that are not known are reported in linear time", .timeLimit(.minutes(1)))
    func linear() {
        let fields = (0..<4000).map { "f\($0): 1, " }.joined()
        let routes = (0..<2000).map { "r\($0): { match: 'GET /\($0)', scope: 's', class: 'c\($0)x' }, " }.joined()
        let limits = (0..<2000).map { "l\($0): { on: 'd\($0)y', per: 'token', allow: '1/s' }, " }.joined()
        let text =
            "{ \(fields) gateway: { \(fields) }, scopes: { s: {} }, routes: { \(routes) }, limits: { \(limits) } }"
        guard case .refused(let found) = load([text]) else {
            Issue.record("loaded")
            return
        }
        #expect(found.count { $0.code == .unknownField } == 4000 && found.count { $0.code == .unknownClass } == 2000)
    }
}
