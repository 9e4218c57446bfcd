internal import JSON

/// One record of a CSV file (RFC 4180): fields between commas, in double quotes where they contain one of `",\n`.
enum CSVRecord {
    /// The fields; `nil` if a quote is where none may be.
    static func fields(of record: ArraySlice<UInt8>) -> [String]? {
        var fields: [String] = []
        var field: [UInt8] = []
        var index = record.startIndex
        let quote = UInt8(ascii: "\"")
        while true {
            field.removeAll(keepingCapacity: true)
            if index < record.endIndex, record[index] == quote {
                index += 1
                while true {
                    guard index < record.endIndex else { return nil }
                    let byte = record[index]
                    index += 1
                    if byte == quote {
                        guard index < record.endIndex, record[index] == quote else { break }
                        index += 1
                    }
                    field.append(byte)
                }
                guard index == record.endIndex || record[index] == UInt8(ascii: ",") else { return nil }
            } else {
                while index < record.endIndex, record[index] != UInt8(ascii: ",") {
                    guard record[index] != quote else { return nil }
                    field.append(record[index])
                    index += 1
                }
            }
            fields.append(String(decoding: field, as: UTF8.self))
            guard index < record.endIndex else { return fields }
            index += 1
        }
    }

    /// The record as a JSON object of strings.
    static func json(names: [String], fields: [String]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for (name, field) in zip(names, fields) {
            writer.name(name)
            writer.string(field)
        }
        writer.endObject()
        return writer.bytes
    }
}
