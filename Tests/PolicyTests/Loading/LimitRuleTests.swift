import Testing

@testable import Policy

@Suite("Limit rules")
struct LimitRuleTests {
    private func set(_ limits: String, plans: String = "", routes: String = "", organizations: Int = 1) throws
        -> PolicySet
    {
        let names = (0..<organizations).map { number in
            "org_\(number): { \(plans.isEmpty ? "" : "plan: \"p\"") }"
        }
        return try policySet(
            """
            { scopes: { s: {} },
              routes: {
                read: { match: "GET /a", scope: "s", class: "c" },
                wipe: { match: "POST /a", scope: "s", class: "c", \(routes) },
              },
              limits: { \(limits) }, plans: { p: { \(plans) } },
              organizations: { \(names.joined(separator: ",")) } }
            """)
    }

    private func rules(_ set: PolicySet, _ route: String, organization: Int = 0) throws -> [LimitRule] {
        let route = try #require(set.routes.routes.first { $0.id == route })
        return try #require(set.organizations["org_\(organization)"]).limits(on: route, now: testNow)
    }

    private func enforced(_ set: PolicySet, of count: Int) throws -> Set<Int> {
        Set(try (0..<count).filter { try rules(set, "read", organization: $0)[0].mode == .enforce })
    }

    @Test(
        "Limit rules: rates are exact fractions",
        arguments: [
            ("60/min", 60, 60), ("2.5/s", 5, 2), ("5/3min", 5, 180), ("1/90s", 1, 90), ("0.001/s", 1, 1000),
            ("1.0/s", 1, 1), ("0.125/min", 1, 480), ("2.50/min", 5, 120),
        ])
    func rates(text: String, count: Int, seconds: Int) throws {
        let rule = try rules(try set("x: { on: \"c\", per: \"organization\", allow: \"\(text)\" }"), "read")[0]
        #expect(rule.count == count && rule.periodSeconds == seconds && rule.burst == count)
    }

    @Test("Limit rules: a route takes its cost from the limits that it names, or from all")
    func costs() throws {
        let limits = """
            x: { on: "c", per: "organization", allow: "10/s" }, y: { on: "c", per: "token", allow: "10/s" }
            """
        let all = try set(limits, routes: "cost: 5")
        #expect(try rules(all, "wipe").map(\.cost) == [5, 5])
        #expect(try rules(all, "read").map(\.cost) == [1, 1])
        let some = try set(limits, routes: "cost: { y: 3 }")
        #expect(try rules(some, "wipe").map(\.cost) == [1, 3])
        // Both routes count in one bucket: the rules differ in nothing but the cost.
        #expect(try rules(some, "wipe").map(\.key) == rules(some, "read").map(\.key))
        #expect(try rules(some, "read")[1].pace.tolerance == rules(some, "wipe")[1].pace.tolerance)
    }

    @Test("Limit rules: a share of the organizations has the limit enforced, and a larger share keeps them")
    func shares() throws {
        func set(_ share: String, limit: String = "x") throws -> PolicySet {
            try self.set(
                "\(limit): { on: \"c\", per: \"organization\", allow: \"10/s\", mode: { enforce: \"\(share)\" } }",
                organizations: 2000)
        }
        let tenth = try enforced(try set("10%"), of: 2000)
        #expect((150...250).contains(tenth.count), "\(tenth.count)")
        #expect(try enforced(try set("10%"), of: 2000) == tenth, "the same after a reload")
        let half = try enforced(try set("50%"), of: 2000)
        #expect((900...1100).contains(half.count) && half.isSuperset(of: tenth))
        #expect(try enforced(try set("100%"), of: 2000).count == 2000)
        #expect((1...25).contains(try enforced(try set("0.5%"), of: 2000).count))
        let other = try enforced(try set("10%", limit: "y"), of: 2000)
        #expect(other.intersection(tenth).count < 60, "each limit chooses for itself")
    }

    @Test("Limit rules: the position of an organization is the same in each gateway, for ever")
    func positions() {
        #expect(OrganizationShare.position(of: "org_xyz789", in: "starts-per-connection") == 8864)
        #expect(OrganizationShare.position(of: "org_xyz789", in: "starts-per-organization") == 4741)
        #expect(OrganizationShare.position(of: "", in: "") == 7227)
    }

    @Test("Limit rules: a plan may roll a limit out, and organizations with equal rules share them")
    func plans() throws {
        let limits = #"x: { on: "c", per: "organization", allow: "10/s", mode: "observe" }"#
        let set = try set(limits, plans: #"x: { mode: { enforce: "30%" } }"#, organizations: 500)
        let some = try enforced(set, of: 500)
        #expect((100...200).contains(some.count))
        #expect(set.limitRules.count == 2, "one rule for those that enforce, one for the others")
    }
}
