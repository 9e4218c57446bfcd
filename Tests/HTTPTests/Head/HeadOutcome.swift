import HTTP

/// What became of some bytes: everything a head tells, as text, so that two outcomes can be compared.
enum Outcome<Head: Equatable, Refusal: Error & Equatable>: Equatable {
    case head(Head)
    case refused(Refusal)
    case incomplete

    /// What `read`, which goes on where it stopped, makes of `bytes` in pieces that end at `cuts`, and at the end.
    init(_ bytes: [UInt8], cuts: [Int], read: ([UInt8]) -> Outcome) {
        self = .incomplete
        for cut in cuts + [bytes.count] {
            self = read(Array(bytes[..<cut]))
            guard self == .incomplete else { return }
        }
    }

    /// What one step of a parser comes to; `nil` stands for "more bytes".
    init(_ parse: () throws(Refusal) -> Head?) {
        do throws(Refusal) {
            self = try parse().map { .head($0) } ?? .incomplete
        } catch {
            self = .refused(error)
        }
    }

    var head: Head? {
        if case .head(let head) = self { head } else { nil }
    }

    var error: Refusal? {
        if case .refused(let error) = self { error } else { nil }
    }
}

/// What became of a client's bytes.
typealias HeadOutcome = Outcome<ReadHead, HeadError>

extension HeadOutcome {
    init(_ bytes: [UInt8], cuts: [Int] = [], limits: HeadLimits = HeadLimits()) {
        var parser = RequestHeadParser(limits: limits)
        var head = RequestHead()
        self.init(bytes, cuts: cuts) { HeadOutcome.next($0, &parser, &head) }
    }

    init(_ text: String, limits: HeadLimits = HeadLimits()) { self.init(Array(text.utf8), limits: limits) }

    static func next(_ bytes: [UInt8], _ parser: inout RequestHeadParser, _ head: inout RequestHead) -> HeadOutcome {
        HeadOutcome { () throws(HeadError) in
            try parser.parse(bytes.span, into: &head) ? ReadHead(head, bytes) : nil
        }
    }
}

/// A request head with its texts taken out of the bytes.
struct ReadHead: ReadLines, Equatable {
    let method: HTTPMethod
    let target: String
    let path: String
    let query: String?
    let originForm: String
    let minorVersion: UInt8
    let names: [FieldName]
    let fields: [String]
    let framing: BodyFraming
    let keepsAlive: Bool
    let nominatesFields: Bool
    let expectsContinue: Bool
    let end: Int
    let host: String?
    let authorization: String?
    let apiKey: String?
    let traceparent: String?
    let organizationID: String?
    let contentType: String?

    init(_ head: RequestHead, _ bytes: [UInt8]) {
        let text = { (range: Range<Int>) in String(decoding: bytes[range], as: UTF8.self) }
        method = head.method
        target = text(head.target)
        path = text(head.path)
        query = head.query.map(text)
        originForm = text(head.originForm)
        minorVersion = head.minorVersion
        names = head.fields.map(\.name)
        fields = head.fields.map { "\(text($0.nameRange)): \(text($0.value))" }
        framing = head.framing
        keepsAlive = head.keepsAlive
        nominatesFields = head.nominatesFields
        expectsContinue = head.expectsContinue
        end = head.end
        host = head.host.map(text)
        authorization = head.authorization.map(text)
        apiKey = head.apiKey.map(text)
        traceparent = head.traceparent.map(text)
        organizationID = head.organizationID.map(text)
        contentType = head.contentType.map(text)
    }
}

/// A head with the given request line and fields; a Host comes first unless the fields bring one.
func headText(_ fields: [String] = [], line: String = "GET / HTTP/1.1", host: Bool = true) -> String {
    ([line] + (host ? ["Host: a"] : []) + fields).map { $0 + "\r\n" }.joined() + "\r\n"
}
