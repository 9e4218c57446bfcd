internal import Bytes
internal import HTTP

/// A value in the `details` of an error envelope.
package indirect enum ErrorDetail: Equatable, Sendable {
    case string(String)
    case integer(Int)
    case bool(Bool)
    case null
    /// Milliseconds since the epoch, written as RFC 3339.
    case timestamp(Int64)
    case strings([String])
    case object([Member])
    /// Valid JSON.
    case json([UInt8])

    /// A named value. Members are written in order.
    package struct Member: Equatable, Sendable {
        package let name: String
        package let value: ErrorDetail

        package init(_ name: String, _ value: ErrorDetail) {
            self.name = name
            self.value = value
        }
    }

    /// Appends the value as JSON.
    func append(to buffer: inout [UInt8]) {
        switch self {
        case .string(let text): buffer.append(jsonString: text)
        case .integer(let value): buffer.append(decimal: value)
        case .bool(let value): buffer.append(text: value ? "true" : "false")
        case .null: buffer.append(text: "null")
        case .timestamp(let milliseconds):
            buffer.append(UInt8(ascii: "\""))
            buffer.append(timestamp: milliseconds)
            buffer.append(UInt8(ascii: "\""))
        case .strings(let texts):
            buffer.append(UInt8(ascii: "["))
            for index in texts.indices {
                if index > 0 { buffer.append(UInt8(ascii: ",")) }
                buffer.append(jsonString: texts[index])
            }
            buffer.append(UInt8(ascii: "]"))
        case .object(let members): Self.append(members, to: &buffer)
        case .json(let bytes): buffer.append(contentsOf: bytes)
        }
    }

    static func append(_ members: [Member], to buffer: inout [UInt8]) {
        buffer.append(UInt8(ascii: "{"))
        for index in members.indices {
            if index > 0 { buffer.append(UInt8(ascii: ",")) }
            buffer.append(jsonString: members[index].name)
            buffer.append(UInt8(ascii: ":"))
            members[index].value.append(to: &buffer)
        }
        buffer.append(UInt8(ascii: "}"))
    }
}

extension [UInt8] {
    /// Appends text as a JSON string with its quotes.
    mutating func append(jsonString text: String) {
        append(UInt8(ascii: "\""))
        append(jsonText: text)
        append(UInt8(ascii: "\""))
    }
}
