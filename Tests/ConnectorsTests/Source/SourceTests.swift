import Synchronization
import Testing

@testable import Connectors

@Suite struct SourceTests {
    private static let stream = StreamDefinition(name: "users", cursorField: "at", keyField: "id")
    private static let full = StreamDefinition(name: "users", cursorField: nil, keyField: nil)

    private func storage(_ text: String, _ format: FolderSource.Format = .ndjson) -> (MemoryStorage, FolderSource) {
        let storage = MemoryStorage()
        storage.files.withLock { $0["/s/users.\(format.rawValue)"] = Array(text.utf8) }
        return (storage, FolderSource(folder: "/s", format: format))
    }

    private func lines(
        _ text: String, _ format: FolderSource.Format = .ndjson, stream: StreamDefinition = stream,
        after cursor: CursorValue? = nil
    ) throws -> [String] {
        let (storage, source) = storage(text, format)
        let rows = try source.rows(of: stream, after: cursor, storage: storage)
        let bytes = try source.lines(of: rows[...], in: stream, storage: storage)
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test("FolderSource: rows come in the order of their cursor, each key once, and only those beyond the cursor")
    func order() throws {
        let text = """
            {"id":1,"at":30}
            {"id":2,"at":10}\r

            {"id":"1","at":20}
            {"id":1,"at":15}
            {"id":3,"at":5}
            """
        #expect(
            try lines(text, after: .integer(5)) == [
                #"{"id":2,"at":10}"#, #"{"id":"1","at":20}"#, #"{"id":1,"at":30}"#,
            ])
        #expect(try lines(text, stream: Self.full).count == 5)
        #expect(try lines("").isEmpty)
    }

    @Test("FolderSource: a last line that is not whole yet waits for the next sync")
    func unfinished() throws {
        #expect(try lines("{\"id\":1,\"at\":1}\n{\"id\":2,\"a").count == 1)
        #expect(try lines("{\"id\":1,\"at\":1}\n{\"id\":2,\"at\":2}").count == 2)
    }

    @Test(
        "FolderSource: a row that cannot be read is named with its record and its fault",
        arguments: [
            ("{\"id\":1,\"at\":1}\n{\"id\":2}\n", "record 2: the cursor field \"at\" is missing"),
            ("{\"at\":1}\n", "record 1: the key field \"id\" is missing"),
            ("{\"id\":[],\"at\":1}\n", "record 1: the key field \"id\" is neither a string nor a number"),
            ("{\"id\":1,\"at\":1.5}\n", "record 1: the cursor field \"at\" is neither a string nor an integer"),
            ("[]\n", "record 1: the row is not a JSON object"),
        ])
    func faults(text: String, fault: String) {
        let failure = #expect(throws: JobFailure.self) { try lines(text) }
        #expect(failure?.description == "source file users.ndjson: \(fault)")
    }

    @Test("FolderSource: a missing file is named without its folder")
    func missing() {
        let source = FolderSource(folder: "/secret", format: .csv)
        let failure = #expect(throws: JobFailure.self) {
            try source.rows(of: Self.stream, after: nil, storage: MemoryStorage())
        }
        #expect(failure?.description == "source file users.csv: No such file or directory")
    }

    @Test("FolderSource: a file that changes between reading and copying is noticed")
    func changed() throws {
        let (storage, source) = storage("{\"id\":1,\"at\":1}\n")
        let rows = try source.rows(of: Self.stream, after: nil, storage: storage)
        storage.files.withLock { $0["/s/users.ndjson"] = Array("{\"id\":1,\"at\":2}\n".utf8) }
        let failure = #expect(throws: JobFailure.self) {
            try source.lines(of: rows[...], in: Self.stream, storage: storage)
        }
        #expect(failure?.description == "source file users.ndjson: the file changed while it was read")
    }

    @Test("FolderSource: CSV records become objects of strings, with quotes, commas and line ends inside")
    func csv() throws {
        let text = "id,name,at\r\n1,\"Ada, \"\"Countess\"\"\",20\r\n2,\"two\nlines\",9\r\n3,,100\r\n"
        #expect(
            try lines(text, .csv) == [
                #"{"id":"2","name":"two\nlines","at":"9"}"#, #"{"id":"1","name":"Ada, \"Countess\"","at":"20"}"#,
                #"{"id":"3","name":"","at":"100"}"#,
            ])
        #expect(try lines(text, .csv, after: .integer(9)).count == 2)
        #expect(try lines(text, .csv, after: .text("20")).count == 1)
    }

    @Test(
        "FolderSource: a CSV record with a stray quote or a wrong number of fields is refused",
        arguments: ["1,a\"b,2", "1,2", "1,2,3,4", "1,\"a\"b,2", "1,\"open,2", "1,a\"\"b,2"])
    func badCSV(record: String) {
        #expect(throws: JobFailure.self) { try lines("id,name,at\n\(record)\n4,x,5\n", .csv) }
    }

    @Test("FolderSource: records that span many pieces of the file are read whole")
    func pieces() throws {
        let rows = (0..<40).map { #"{"id":\#($0),"at":\#($0),"text":"\#(String(repeating: "x", count: $0 * 997))"}"# }
        #expect(try lines(rows.joined(separator: "\n") + "\n") == rows)
        let reversed = Array(rows.reversed())
        #expect(try lines(reversed.joined(separator: "\n")) == rows)
    }

    @Test("FolderSource: cursors order as numbers where they are numbers, and as bytes where they are not")
    func cursors() {
        let ordered: [CursorValue] = [
            .integer(-3), .text("0"), .integer(9), .text("10"), .integer(11), .text("2024-06-15T10:30:00Z"),
            .text("2024-06-15T10:30:01Z"), .text("a"), .text("b"),
        ]
        for (index, left) in ordered.enumerated() {
            for (other, right) in ordered.enumerated() {
                #expect((left < right) == (index < other), "\(left) \(right)")
            }
        }
    }
}
