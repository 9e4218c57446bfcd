internal import HTTP

/// A field line with a secret in it. Never logged.
package struct SecretField: Sendable, Equatable, CustomStringConvertible {
    /// `Name: value`, line end included.
    let line: [UInt8]
    /// The name, in lower case.
    let name: [UInt8]

    /// `nil` if the value is empty, or has bytes that no field value can have.
    package init?(header: String, value: [UInt8]) {
        guard !value.isEmpty, value.allSatisfy(\.isFieldValueByte) else { return nil }
        line = Array("\(header): ".utf8) + value + Array("\r\n".utf8)
        name = Array(header.lowercased().utf8)
    }

    /// The field value: the part after the name.
    var value: String { String(decoding: line[(name.count + 2)..<(line.count - 2)], as: UTF8.self) }

    package var description: String { "(secret)" }
}
