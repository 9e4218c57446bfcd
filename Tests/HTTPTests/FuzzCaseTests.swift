import Foundation
import HTTP
import Testing

@Suite("Inputs kept by the fuzzer")
struct FuzzCaseTests {
    /// A file of `Tests/Fuzz`: a seed, or an input that once showed a fault.
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]

        var testDescription: String { name }
    }

    static func cases(_ target: String) -> [Case] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fuzz")
        return ["Corpus", "FailCases"].flatMap { folder in
            let folder = root.appending(path: folder).appending(path: target)
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
            return names.sorted().compactMap { name in
                (try? Data(contentsOf: folder.appending(path: name))).map { Case(name: name, bytes: Array($0)) }
            }
        }
    }

    @Test("Fuzz cases: a kept head is judged alike however it is cut", arguments: cases("head"))
    func head(kept: Case) {
        let limits = HeadLimits(targetBytes: 200, headBytes: 1000, fields: 16)
        let whole = HeadOutcome(kept.bytes, limits: limits)
        #expect(HeadOutcome(kept.bytes, cuts: Array(kept.bytes.indices), limits: limits) == whole)
        for cut in kept.bytes.indices { #expect(HeadOutcome(kept.bytes, cuts: [cut], limits: limits) == whole) }
    }

    @Test("Fuzz cases: a kept body is decoded alike however it is cut", arguments: cases("chunked"))
    func chunked(kept: Case) {
        for keepsTrailers in [false, true] {
            let decoded = { DecodedBody(kept.bytes, cuts: $0, keepsTrailers: keepsTrailers) }
            let whole = decoded([])
            #expect(decoded(Array(kept.bytes.indices)) == whole)
            for cut in kept.bytes.indices { #expect(decoded([cut]) == whole) }
        }
    }

    @Test("Fuzz cases: a kept response head is judged alike however it is cut", arguments: cases("response"))
    func response(kept: Case) {
        let limits = HeadLimits(headBytes: 1000, fields: 16)
        for method in [HTTPMethod.get, .head] {
            let outcome = { ResponseHeadOutcome(kept.bytes, answering: method, cuts: $0, limits: limits) }
            let whole = outcome([])
            #expect(outcome(Array(kept.bytes.indices)) == whole)
            for cut in kept.bytes.indices { #expect(outcome([cut]) == whole) }
        }
    }

    @Test("Fuzz cases: kept compressed content fits into its own length and into no less", arguments: cases("inflate"))
    func inflate(kept: Case) {
        for coding in [ContentCoding.gzip, .deflate] {
            let content = { Inflate.decode(kept.bytes.span, coding: coding, limit: $0) }
            guard let whole = content(65536) else { continue }
            #expect(content(whole.count) == whole)
            if !whole.isEmpty { #expect(content(whole.count - 1) == nil) }
        }
    }

    @Test("Fuzz cases: there are seeds for all")
    func seeds() {
        #expect(Self.cases("head").count >= 7)
        #expect(Self.cases("response").count >= 7)
        #expect(Self.cases("chunked").count >= 5)
        #expect(Self.cases("inflate").count >= 8)
    }
}
