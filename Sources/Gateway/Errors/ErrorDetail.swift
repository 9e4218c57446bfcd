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
    case objects([[Member]])
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
        case .strings(let texts): Self.append(list: texts, to: &buffer) { $1.append(jsonString: $0) }
        case .object(let members): Self.append(members, to: &buffer)
        case .objects(let objects): Self.append(list: objects, to: &buffer) { Self.append($0, to: &$1) }
        case .json(let bytes): buffer.append(contentsOf: bytes)
        }
    }

    private static func append<Element>(
        list: [Element], to buffer: inout [UInt8], _ append: (Element, inout [UInt8]) -> Void
    ) {
        buffer.append(UInt8(ascii: "["))
        for index in list.indices {
            if index > 0 { buffer.append(UInt8(ascii: ",")) }
            append(list[index], &buffer)
        }
        buffer.append(UInt8(ascii: "]"))
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
