internal import JSON

/// The position of a row in a source file, with its cursor and its key.
struct SourceRow: Equatable, Sendable {
    let offset: Int
    let length: Int
    /// Of the row's bytes: finds a file that changes while a job runs.
    let checksum: UInt32
    let cursor: CursorValue?
    let key: String
}

/// The key and the cursor of a row, in a source or in a destination.
struct RowIdentity {
    /// The text that distinguishes rows.
    ///
    /// The value of the key field, or the whole line if there is no key field. A string gets a quote before it, so that
    /// `"1"` and `1` differ.
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
