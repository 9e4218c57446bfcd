internal import JSON

/// Where a row of a source file stands, and what the service has to know of it.
struct SourceRow: Equatable, Sendable {
    let offset: Int
    let length: Int
    /// Of the row's bytes, so that a file that changes under a running job is noticed.
    let checksum: UInt32
    let cursor: CursorValue?
    let key: String
}

/// What a row says about itself, whichever side it stands on.
struct RowIdentity {
    /// The text that tells rows apart.
    ///
    /// The value of the key field, a string with a quote before it so that `"1"` and `1` differ, or without a key
    /// field the whole line.
    static func key(of line: ArraySlice<UInt8>, row: JSONValue, field: String?) throws(JobFailure) -> String {
        guard let field else { return String(decoding: line, as: UTF8.self) }
        switch row[field]?.kind {
        case .string(let text): return "\"" + text
        case .number(let number): return number.text
        case nil: throw JobFailure("the key field \"\(field)\" is missing")
        default: throw JobFailure("the key field \"\(field)\" is neither a string nor a number")
        }
    }

    static func cursor(of row: JSONValue, field: String?) throws(JobFailure) -> CursorValue? {
        guard let field else { return nil }
        guard let value = row[field] else { throw JobFailure("the cursor field \"\(field)\" is missing") }
        guard let cursor = CursorValue(value) else {
            throw JobFailure("the cursor field \"\(field)\" is neither a string nor an integer")
        }
        return cursor
    }

    static func object(_ line: ArraySlice<UInt8>) throws(JobFailure) -> JSONValue {
        let value: JSONValue
        do { value = try JSONValue.read(line.span, limits: JSONLimits(values: 100_000)) } catch {
            throw JobFailure("\(error.message) at byte \(error.range.lowerBound + 1)")
        }
        guard value.object != nil else { throw JobFailure("the row is not a JSON object") }
        return value
    }
}
