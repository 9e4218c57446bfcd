import Crypto
import Foundation

/// The policies of a test: the shipped routes and concurrency, with organizations, tokens and limits of its own.
enum TestPolicies {
    static let organization = "org_xyz789"
    static let otherOrganization = "org_other42"

    /// What each token may do is in its name.
    enum Token: String, CaseIterable {
        /// All scopes in the first organization.
        case full
        case reader
        case expired
        /// All scopes in both organizations.
        case both
        /// All scopes in the other organization.
        case other

        var text: String { "token-\(rawValue)" }
    }

    /// Enough for any test that is not about limits.
    static let roomyLimits = """
        "starts-per-connection": {
          on: ["trigger", "refresh", "clear", "retry", "run"], per: ["organization", "connection"], allow: "100000/min",
        },
        "write-calls-per-token": {
          on: ["trigger", "refresh", "clear", "retry", "run", "write"], per: ["organization", "token"],
          allow: "100000/min", charge: "calls",
        },
        """

    static func write(_ setup: GatewaySetup, to folder: TestFolder) throws {
        for name in ["routes", "concurrency"] {
            let shipped = URL(filePath: #filePath).deletingLastPathComponent()
                .appending(path: "../../policies/\(name).json5")
            var text = String(decoding: try Data(contentsOf: shipped), as: UTF8.self)
            // Most tests of conflicts send one request twice, and are not about a client that repeats itself.
            if !setup.hasResendWindow {
                text = text.replacing(/lease: "\w+",/) { "\($0.output) resendWindow: \"0s\"," }
            }
            if !setup.leaseFields.isEmpty {
                text = text.replacing(/lease: "(?!state)\w+",/) { "\($0.output) \(setup.leaseFields)," }
            }
            if name == "routes" { text = setup.changesRoutes(text) }
            try folder.write(text, to: "policies/\(name).json5")
        }
        let upstream = setup.upstream.isEmpty ? "" : "upstream: { \(setup.upstream) },"
        try folder.write("{ gateway: { \(upstream) \(setup.settings) } }", to: "policies/gateway.json5")
        try writeLimits(setup.limits, to: folder)
        if !setup.jobCaps.isEmpty { try folder.write("{ jobCaps: { \(setup.jobCaps) } }", to: "policies/caps.json5") }
        let all = #"["connectors:read", "connectors:write", "connectors:run"]"#
        try folder.write(
            """
            {
              organizations: {
                \(organization): {
                  tokens: {
                    full: { sha256: "\(hash(.full))", scopes: \(all) },
                    reader: { sha256: "\(hash(.reader))", scopes: ["connectors:read"] },
                    expired: { sha256: "\(hash(.expired))", scopes: \(all), expires: "2024-01-01T00:00:00Z" },
                    both: { sha256: "\(hash(.both))", scopes: \(all), organizations: ["\(otherOrganization)"] },
                  },
                },
                \(otherOrganization): { tokens: { other: { sha256: "\(hash(.other))", scopes: \(all) } } },
              },
            }
            """, to: "policies/organizations/both.json5")
    }

    static func writeLimits(_ limits: String, to folder: TestFolder) throws {
        try folder.write("{ limits: { \(limits) } }", to: "policies/limits.json5")
    }

    private static func hash(_ token: Token) -> String {
        SHA256.hash(Array(token.text.utf8).span).map { String(format: "%02x", $0) }.joined()
    }
}

/// The connections of a test: few rows, so that a job's duration is what the test asked for.
enum TestConnections {
    static let connection = "conn_abc123"
    static let sourceConnection = "550e8400-e29b-41d4-a716-446655440000"
    static let otherConnection = "conn_other1"
    static let rows = 20

    static func write(to folder: TestFolder) throws {
        // A gateway that starts again over the same folder finds what it left.
        guard !FileManager.default.fileExists(atPath: folder.state + "/connectors.json5") else { return }
        let definitions = [
            (connection, TestPolicies.organization, "aitronos"),
            (sourceConnection, TestPolicies.organization, "airweave"),
            (otherConnection, TestPolicies.otherOrganization, "aitronos"),
        ].map { id, organization, family in
            """
            {
              id: "\(id)", organization: "\(organization)", name: "\(id)", family: "\(family)",
              source: { folder: "sources" }, destination: { folder: "destinations/\(id)" },
              streams: { users: { cursor: "updated_at", key: "id" }, orders: { cursor: "updated_at", key: "id" } },
            }
            """
        }
        for stream in ["users", "orders"] {
            let lines = (1...rows).map { row in
                let moment = row < 10 ? "0\(row)" : "\(row)"
                return #"{"id":"\#(stream)_\#(row)","updated_at":"2024-06-15T10:\#(moment):00Z"}"# + "\n"
            }
            try folder.write(lines.joined(), to: "state/sources/\(stream).ndjson")
        }
        try folder.write("{ connections: [\(definitions.joined(separator: ","))] }", to: "state/connectors.json5")
    }
}
