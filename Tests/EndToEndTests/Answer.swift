import JSON
import Testing

/// A response as a client sees it.
struct Answer {
    let status: Int
    let version: String
    /// Names in lower case.
    let fields: [(name: String, value: String)]
    var body: [UInt8] = []

    /// Reads a head up to its empty line.
    init(head: String) throws {
        let lines = head.split(separator: "\r\n", omittingEmptySubsequences: true)
        let words = try #require(lines.first).split(separator: " ", maxSplits: 2)
        version = String(words[0])
        status = try #require(words.count > 1 ? Int(words[1]) : nil, "\(head)")
        fields = lines.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return (
                parts[0].lowercased(), String(parts.count > 1 ? parts[1].drop { $0 == " " } : "")
            )
        }
    }

    /// The field's value; all values where it is repeated, which most fields must not be.
    subscript(name: String) -> String? {
        let values = fields.filter { $0.name == name }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: " | ")
    }

    var text: String { String(decoding: body, as: UTF8.self) }

    var json: JSONValue {
        get throws { try JSONValue.read(body.span) }
    }

    /// A member deep in the body: `["error", "details", "active_job", "id"]`.
    func json(_ path: String...) throws -> JSONValue? {
        var value: JSONValue? = try json
        for name in path { value = value?[name] }
        return value
    }

    var closes: Bool { self["connection"] == "close" }

    /// Checks that this is the documented error, with everything that clients rely on. The gateway tells the trace id in a
    /// field as well.
    func expectError(
        _ status: Int, _ code: String, isAirweave: Bool = false, closes: Bool? = nil, isGateway: Bool = true,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(self.status == status, "\(text)", sourceLocation: sourceLocation)
        #expect(self["content-type"] == "application/json", sourceLocation: sourceLocation)
        #expect(try json("success")?.bool == false, sourceLocation: sourceLocation)
        #expect(try json("error", "code")?.string == code, "\(text)", sourceLocation: sourceLocation)
        #expect(try json("error", "status")?.integer == Int64(status), sourceLocation: sourceLocation)
        #expect(
            try json("error", "type")?.string == (status < 500 ? "client_error" : "server_error"),
            sourceLocation: sourceLocation)
        #expect(try json("error", "message")?.string?.isEmpty == false, sourceLocation: sourceLocation)
        #expect(try json("error", "details")?.object != nil, sourceLocation: sourceLocation)
        let traceID = try json("error", "trace_id")?.string
        #expect(traceID?.utf8.count == 32, sourceLocation: sourceLocation)
        #expect(self["x-trace-id"] == (isGateway ? traceID : nil), sourceLocation: sourceLocation)
        #expect(try json("error", "timestamp")?.string?.hasSuffix("Z") == true, sourceLocation: sourceLocation)
        let detail = isAirweave ? try json("error", "message")?.string : nil
        #expect(try json("detail")?.string == detail, sourceLocation: sourceLocation)
        if let closes { #expect(self.closes == closes, sourceLocation: sourceLocation) }
    }
}
