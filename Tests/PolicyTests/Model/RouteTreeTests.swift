import Policy
import Testing

/// Looks through all patterns, one by one: what ``RouteTable`` finds by its tree.
private struct LinearRoutes {
    struct Pattern: Hashable {
        let methods: [String]
        let segments: [String]

        var text: String { methods.joined(separator: ",") + " /" + segments.joined(separator: "/") }
    }

    let patterns: [Pattern]

    private struct Walk {
        let method: String
        var allowed: Set<String> = []
        var isNamed = false
        var isAmbiguous = false
    }

    /// The place of the pattern, or a word for what else comes out.
    func match(_ method: String, _ path: String) -> String {
        var walk = Walk(method: method)
        var segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        if segments.last == "" { segments.removeLast() }
        let found = search(segments[...], patterns.indices.map { $0 }, depth: 0, &walk)
        let isPlain = segments.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." && !$0.contains("%") }
        if walk.isAmbiguous, found != nil || !walk.allowed.isEmpty { return "ambiguous" }
        if found == nil, !isPlain { return "ambiguous" }
        if let found { return "route \(found)" }
        guard !walk.allowed.isEmpty else { return "nothing" }
        return method == "OPTIONS" ? "options" : "other methods \(walk.allowed.sorted())"
    }

    /// `here` are the patterns that agree with the path so far.
    private func search(_ rest: ArraySlice<String>, _ here: [Int], depth: Int, _ walk: inout Walk) -> Int? {
        func next(_ here: [Int], _ segment: (String) -> Bool) -> [Int] {
            here.filter { patterns[$0].segments.count > depth && segment(patterns[$0].segments[depth]) }
        }
        guard let segment = rest.first else {
            let ends = here.filter { patterns[$0].segments.count == depth }
            walk.isNamed = walk.isNamed || !ends.isEmpty
            return find(ends, &walk)
        }
        let same = next(here) { $0 == segment }
        let others = next(here) { $0 != segment && !$0.hasPrefix("{") && $0.lowercased() == segment.lowercased() }
        if !others.isEmpty { walk.isAmbiguous = true }
        if !same.isEmpty, let found = search(rest.dropFirst(), same, depth: depth + 1, &walk) { return found }
        let variable = next(here) { $0.hasPrefix("{") }
        if !variable.isEmpty, let found = search(rest.dropFirst(), variable, depth: depth + 1, &walk) {
            if segment.isEmpty || segment == "." || segment == ".." || segment.contains("%") { walk.isAmbiguous = true }
            return found
        }
        guard !walk.isNamed, let found = find(next(here) { $0 == "**" }, &walk) else { return nil }
        if !rest.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." && !$0.contains("%") }) { walk.isAmbiguous = true }
        return found
    }

    private func find(_ ends: [Int], _ walk: inout Walk) -> Int? {
        for end in ends { walk.allowed.formUnion(patterns[end].methods) }
        guard walk.method != "OPTIONS" else { return nil }
        return ends.first { patterns[$0].methods.contains(walk.method) }
            ?? (walk.method == "HEAD" ? ends.first { patterns[$0].methods.contains("GET") } : nil)
    }
}

@Suite("Finding the route by hash")
struct RouteTreeTests {
    /// Random patterns over few names, so that they share much, and one node with many literals.
    private static func patterns(_ random: inout some RandomNumberGenerator, siblings: Int) -> [LinearRoutes.Pattern] {
        let names = ["a", "b", "ab", "jobs", "job-s", "state", "v1", "x_9"]
        var found: [LinearRoutes.Pattern] = []
        var taken: Set<String> = []
        func add(_ segments: [String], _ methods: [String]) {
            let free = methods.filter { taken.insert("\($0) \(segments)").inserted }
            if !free.isEmpty { found.append(.init(methods: free, segments: segments)) }
        }
        for _ in 0..<Int.random(in: 1...24, using: &random) {
            var segments: [String] = []
            var variables = ["{organization}", "{connection}", "{job}"]
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                if Int.random(in: 0..<4, using: &random) == 0, !variables.isEmpty {
                    // Always in the same order: patterns that differ in the name of a variable only are one to the tree.
                    segments.append(variables.removeFirst())
                } else {
                    segments.append(names.randomElement(using: &random) ?? "a")
                }
            }
            if Int.random(in: 0..<4, using: &random) == 0 { segments.append("**") }
            let methods = ["GET", "HEAD", "POST", "DELETE"].filter { _ in Bool.random(using: &random) }
            add(segments, methods.isEmpty ? ["GET"] : methods)
        }
        for index in 0..<siblings { add(["v1", "{organization}", "s\(index * 7919 % 4001)"], ["GET", "POST"]) }
        return found
    }

    private static func path(
        _ patterns: [LinearRoutes.Pattern], _ random: inout some RandomNumberGenerator
    ) -> String {
        var segments = patterns.randomElement(using: &random)?.segments ?? []
        for index in segments.indices {
            if segments[index].hasPrefix("{") {
                segments[index] = ["one", "jobs", "a", "STATE", "s3"].randomElement(using: &random) ?? "one"
            }
            switch (segments[index], Int.random(in: 0..<20, using: &random)) {
            case ("**", _):
                segments[index] = ["x", "x/y", "", "..", "a%20b", "x/"].randomElement(using: &random) ?? "x"
            case (let text, 0): segments[index] = text.uppercased()
            case (let text, 1): segments[index] = text + "x"
            case (_, 2):
                segments[index] = ["", ".", "..", "%61", "s1", "jobs", "a"].randomElement(using: &random) ?? ""
            default: break
            }
        }
        switch Int.random(in: 0..<12, using: &random) {
        case 0: segments.append("")
        case 1: segments.append("more")
        case 2: segments = Array(segments.dropLast())
        default: break
        }
        return "/" + segments.joined(separator: "/")
    }

    private static func describe(_ match: RouteMatch) -> String {
        switch match {
        case .route(let route, _): "route \(route.id.dropFirst())"
        case .options: "options"
        case .notFound: "nothing"
        case .ambiguousPath: "ambiguous"
        case .methodNotAllowed(let allow, _): "allowed \(allow)"
        }
    }

    @Test("RouteTree: it finds what looking through all patterns finds", arguments: [0, 3, 5, 300])
    func agrees(siblings: Int) throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<(siblings > 100 ? 3 : 60) {
            let linear = LinearRoutes(patterns: Self.patterns(&random, siblings: siblings))
            let routes = linear.patterns.enumerated().map { "r\($0): { match: \"\($1.text)\", scope: \"s\" }" }
            let table = try policySet("{ scopes: { s: {} }, routes: { \(routes.joined(separator: ",\n")) } }").routes
            for _ in 0..<200 {
                let path = Self.path(linear.patterns, &random)
                let method = ["GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS"].randomElement(using: &random) ?? "GET"
                let wanted = linear.match(method, path)
                let found = Self.describe(table.match(method, path))
                let isSame = wanted.hasPrefix("other methods") ? found.hasPrefix("allowed") : found == wanted
                #expect(isSame, "\(method) \(path): \(found), not \(wanted), of \(linear.patterns.map(\.text))")
                if !isSame { return }
            }
        }
    }

    @Test(
        "RouteTree: many siblings are each found, and refused in other case where a variable could take them",
        arguments: [false, true])
    func siblings(hasVariable: Bool) throws {
        var routes = (0..<1000).map { "r\($0): { match: \"GET /v1/{organization}/sibling\($0)\", scope: \"s\" }" }
        if hasVariable { routes.append("r1000: { match: \"GET /v1/{organization}/{connection}\", scope: \"s\" }") }
        let table = try policySet("{ scopes: { s: {} }, routes: { \(routes.joined(separator: ",\n")) } }").routes
        for index in 0..<1000 {
            #expect(Self.describe(table.match("GET", "/v1/o/sibling\(index)")) == "route \(index)")
            #expect(
                Self.describe(table.match("GET", "/v1/o/Sibling\(index)")) == (hasVariable ? "ambiguous" : "nothing"))
            #expect(
                Self.describe(table.match("GET", "/v1/o/sibling\(index)x")) == (hasVariable ? "route 1000" : "nothing"))
        }
    }
}
