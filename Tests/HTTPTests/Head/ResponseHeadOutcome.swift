import HTTP

/// What became of an upstream's bytes.
typealias ResponseHeadOutcome = Outcome<ReadResponseHead, ResponseHeadError>

extension ResponseHeadOutcome {
    init(
        _ bytes: [UInt8], answering method: HTTPMethod = .get, cuts: [Int] = [], limits: HeadLimits = .upstream
    ) {
        var parser = ResponseHeadParser(limits: limits)
        var head = ResponseHead()
        self.init(bytes, cuts: cuts) { ResponseHeadOutcome.next($0, method, &parser, &head) }
    }

    init(_ text: String, answering method: HTTPMethod = .get, limits: HeadLimits = .upstream) {
        self.init(Array(text.utf8), answering: method, limits: limits)
    }

    static func next(
        _ bytes: [UInt8], _ method: HTTPMethod, _ parser: inout ResponseHeadParser, _ head: inout ResponseHead
    ) -> ResponseHeadOutcome {
        ResponseHeadOutcome { () throws(ResponseHeadError) in
            try parser.parse(bytes.span, answering: method, into: &head) ? ReadResponseHead(head, bytes) : nil
        }
    }
}

/// A response head with its texts taken out of the bytes.
struct ReadResponseHead: ReadLines, Equatable {
    let status: Int
    let minorVersion: UInt8
    let reason: String
    let names: [FieldName]
    let fields: [String]
    let framing: BodyFraming
    let announcedLength: UInt64?
    let keepsAlive: Bool
    let nominatesFields: Bool
    let end: Int
    let contentType: String?
    let contentEncoding: String?
    let retryAfter: String?
    let location: String?

    init(_ head: ResponseHead, _ bytes: [UInt8]) {
        let text = { (range: Range<Int>) in String(decoding: bytes[range], as: UTF8.self) }
        status = head.status
        minorVersion = head.minorVersion
        reason = text(head.reason)
        names = head.fields.map(\.name)
        fields = head.fields.map { "\(text($0.nameRange)): \(text($0.value))" }
        framing = head.framing
        announcedLength = head.announcedLength
        keepsAlive = head.keepsAlive
        nominatesFields = head.nominatesFields
        end = head.end
        contentType = head.contentType.map(text)
        contentEncoding = head.contentEncoding.map(text)
        retryAfter = head.retryAfter.map(text)
        location = head.location.map(text)
    }
}

/// A response head with the given status line and fields.
func responseText(_ fields: [String] = [], line: String = "HTTP/1.1 200 OK") -> String {
    ([line] + fields).map { $0 + "\r\n" }.joined() + "\r\n"
}
