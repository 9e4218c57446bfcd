import Connectors
import Testing

@Suite("Routes of the connector service")
struct RouteTests {
    @Test(
        "Route: a path that a policy matched is what reading the target finds", arguments: ConnectorRoute.paths.indices)
    func matched(index: Int) throws {
        // As the gateway finds the variables of a pattern: segment by segment.
        var target = ""
        var found: [String: Range<Int>] = [:]
        for segment in ConnectorRoute.paths[index].dropFirst().split(separator: "/") {
            target += "/"
            let isVariable = segment.hasPrefix("{")
            let text = isVariable ? "\(segment.dropFirst().dropLast())_1" : String(segment)
            if isVariable {
                found[String(segment.dropFirst().dropLast())] = target.utf8.count..<target.utf8.count + text.utf8.count
            }
            target += text
        }
        let route = ConnectorRoute(
            path: index, organization: found["organization"], connection: found["connection"], job: found["job"])
        for target in [target, target + "/", target + "?limit=1/2", target + "/?"] {
            #expect(ConnectorRoute(Array(target.utf8)) == route, "\(target)")
        }
        #expect(ConnectorRoute(Array((target + "/x").utf8)) != route)
        #expect(ConnectorRoute(Array(target.dropLast().utf8)) != route)
    }

    @Test("Route: every path is in the list once")
    func unique() { #expect(Set(ConnectorRoute.paths).count == ConnectorRoute.paths.count) }

    @Test("Route: a query begins behind the first question mark")
    func query() async throws {
        let bench = try Bench()
        let jobs = "/v1/organizations/\(Bench.organization)/knowledge/connectors/jobs"
        for query in ["", "?", "?limit=1", "?limit=1&x=?y"] {
            #expect(await bench.send("GET", jobs + query).status == 200)
        }
        #expect(await bench.send("GET", jobs + "?limit=0").status == 422)
        bench.remove()
    }
}
