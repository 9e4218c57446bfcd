import Foundation
import JSON
import Testing

@Suite("Texts kept by the fuzzer")
struct FuzzCaseTests {
    /// The files of `Tests/Fuzz`: seeds, and texts that once showed a fault.
    private static let texts: [[UInt8]] = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fuzz")
        return ["Corpus/json5", "FailCases/json5"].flatMap { path in
            let folder = root.appending(path: path)
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
            return names.sorted().compactMap { try? Array(Data(contentsOf: folder.appending(path: $0))) }
        }
    }()

    @Test("Fuzz cases: what is JSON means the same as JSON5, and what was written is read again", arguments: texts)
    func text(bytes: [UInt8]) {
        let lenient = written(bytes, .json5)
        if let strict = written(bytes, .json) { #expect(strict == lenient) }
        if let lenient { #expect(written(lenient, .json) == lenient) }
    }

    @Test("Fuzz cases: there are seeds")
    func seeds() { #expect(Self.texts.count >= 6) }

    private func written(_ bytes: [UInt8], _ syntax: JSONSyntax) -> [UInt8]? {
        guard let value = try? JSONValue.read(bytes.span, as: syntax) else { return nil }
        var writer = JSONWriter()
        writer.value(value)
        return writer.bytes
    }
}
