/// The bytes are no valid journal record.
struct RecordError: Error, Equatable {}

/// Appends the fields of a record: integers as LEB128, texts after their length.
struct RecordWriter {
    private(set) var bytes: [UInt8]

    init(into bytes: [UInt8] = []) { self.bytes = bytes }

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    mutating func integer(_ value: Int) {
        var rest = UInt64(bitPattern: Int64(value))
        while rest > 0x7F {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func string(_ value: String) {
        integer(value.utf8.count)
        bytes.append(contentsOf: value.utf8)
    }

    mutating func data(_ value: [UInt8]) {
        integer(value.count)
        bytes.append(contentsOf: value)
    }

    mutating func time(_ value: Timestamp) { integer(Int(value.milliseconds)) }

    mutating func key(_ value: ConnectionKey) {
        string(value.organization)
        string(value.id)
    }

    mutating func optional<Value>(_ value: Value?, _ write: (inout RecordWriter, Value) -> Void) {
        guard let value else { return byte(0) }
        byte(1)
        write(&self, value)
    }
}

/// Reads the fields that ``RecordWriter`` wrote, in the same order; never beyond the end.
struct RecordReader {
    private let bytes: ArraySlice<UInt8>
    private var index: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        index = bytes.startIndex
    }

    var isAtEnd: Bool { index == bytes.endIndex }

    mutating func byte() throws(RecordError) -> UInt8 {
        guard index < bytes.endIndex else { throw RecordError() }
        index += 1
        return bytes[index - 1]
    }

    mutating func integer() throws(RecordError) -> Int {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            let byte = try byte()
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return Int(truncatingIfNeeded: value) }
        }
        throw RecordError()
    }

    mutating func data() throws(RecordError) -> ArraySlice<UInt8> {
        let count = try integer()
        guard count >= 0, count <= bytes.endIndex - index else { throw RecordError() }
        defer { index += count }
        return bytes[index..<index + count]
    }

    mutating func string() throws(RecordError) -> String {
        guard let text = String(validating: try data(), as: UTF8.self) else { throw RecordError() }
        return text
    }

    mutating func time() throws(RecordError) -> Timestamp { Timestamp(milliseconds: Int64(try integer())) }

    mutating func key() throws(RecordError) -> ConnectionKey {
        ConnectionKey(organization: try string(), id: try string())
    }

    mutating func optional<Value>(
        _ read: (inout RecordReader) throws(RecordError) -> Value
    ) throws(RecordError) -> Value? {
        switch try byte() {
        case 0: nil
        case 1: try read(&self)
        default: throw RecordError()
        }
    }
}
