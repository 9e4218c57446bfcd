import HTTP
import Testing
@testable import Gateway
@testable import Policy
@testable import Transport

@Suite("Framing of a relayed response")
struct RelayedFramingTests {
    private func request(_ method: String, _ version: String) throws -> RequestHead {
        var head = RequestHead()
        var parser = RequestHeadParser()
        #expect(try parser.parse(Array("\(method) / HTTP/\(version)\r\nHost: a\r\n\r\n".utf8).span, into: &head))
        return head
    }

    private func bytes(_ status: Int, _ field: String) -> [UInt8] {
        let field = field.isEmpty ? "" : field + "\r\n"
        return Array("HTTP/1.1 \(status) X\r\n\(field)\r\n".utf8)
    }

    private func answer(_ status: Int, _ field: String, to method: HTTPMethod) throws -> ResponseHead {
        var head = ResponseHead()
        var parser = ResponseHeadParser()
        #expect(try parser.parse(bytes(status, field).span, answering: method, into: &head))
        return head
    }

    @Test("RelayedHead: the framing is one that the client can read, for every framing, method, status and version")
    func all() throws {
        let fields = ["", "Content-Length: 0", "Content-Length: 7", "Transfer-Encoding: chunked"]
        for (method, name) in [(HTTPMethod.get, "GET"), (.head, "HEAD")] {
            for version in ["1.0", "1.1"] {
                for status in [200, 204, 304, 404] {
                    for (index, field) in fields.enumerated() {
                        // Such a head is refused before.
                        if status == 204, index > 1 { continue }
                        let framing = RelayedFraming(
                            of: try answer(status, field, to: method), for: try request(name, version))
                        let hasBody = method != .head && status != 204 && status != 304
                        let expected: RelayedFraming =
                            switch (hasBody, index) {
                            case (_, 1) where status != 204: .length(0)
                            case (_, 2): .length(7)
                            case (true, _): version == "1.0" ? .untilClose : .chunked
                            case (false, _): .none
                            }
                        #expect(framing == expected, "\(name) HTTP/\(version) \(status) \(field)")
                    }
                }
            }
        }
    }

    @Test(
        "RelayedHead: the limits of the response win if it has any",
        arguments: [("RateLimit-Limit: 1", true), ("Rate: 1", false)])
    func limits(field: String, brings: Bool) throws {
        let facts = RelayedHeadFacts(try answer(200, field, to: .get), of: bytes(200, field).span)
        #expect((facts.limits == .upstreams) == brings)
    }
}
