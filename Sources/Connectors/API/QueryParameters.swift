internal import Bytes
internal import JSON

/// The parameters of a query, percent-decoded. Unknown ones are ignored, because clients send parameters of their own.
struct QueryParameters {
    /// The maximum length of a value: no parameter of the API needs more.
    private static let maxValue = 512

    private var pairs: [(name: String, value: String)] = []

    /// The query of a target: everything after its first `?`.
    init(of target: [UInt8]) throws(APIError) {
        guard let mark = target.firstIndex(of: UInt8(ascii: "?")) else { return }
        for pair in target[(mark + 1)...].split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = parts.first.flatMap(Self.decoded),
                let value = Self.decoded(parts.count > 1 ? parts[1] : [])
            else { throw .invalid("query", "has an escape that is not UTF-8") }
            pairs.append((name, value))
        }
    }

    /// The value of `name` in either spelling; an empty one counts as absent. Two different ones are an error.
    func value(_ name: String, or other: String? = nil) throws(APIError) -> String? {
        // By their bytes: `==` and hashing first normalize a client's combining marks, which takes milliseconds.
        let names = [name] + (other.map { [$0] } ?? [])
        let given = names.flatMap { name in pairs.filter { $0.name.hasSameBytes(as: name) }.map(\.value) }
        guard let first = given.first, !first.isEmpty else { return nil }
        guard given.allSatisfy({ $0.utf8.count <= Self.maxValue }) else { throw .invalid(name, "is too long") }
        guard given.allSatisfy({ $0 == first }) else { throw .invalid(name, "is given twice with different values") }
        return first
    }

    func integer(_ name: String, in range: ClosedRange<Int>, default standard: Int) throws(APIError) -> Int {
        guard let text = try value(name) else { return standard }
        guard let number = Int(text), range.contains(number) else {
            let limit = range.upperBound == Int.max ? "that is at least \(range.lowerBound)" : Self.words(range)
            throw .invalid(name, "must be an integer \(limit)")
        }
        return number
    }

    func flag(_ name: String) throws(APIError) -> Bool {
        switch try value(name)?.lowercased() {
        case nil, "false", "0": return false
        case "true", "1": return true
        default: throw .invalid(name, "must be true or false")
        }
    }

    private static func words(_ range: ClosedRange<Int>) -> String { "from \(range.lowerBound) to \(range.upperBound)" }

    /// `+` stays a plus: the values are dates and ids, which contain no space.
    private static func decoded(_ text: ArraySlice<UInt8>) -> String? {
        guard text.contains(UInt8(ascii: "%")) else { return String(validating: text, as: UTF8.self) }
        var bytes: [UInt8] = []
        var index = text.startIndex
        while index < text.endIndex {
            guard text[index] == UInt8(ascii: "%") else {
                bytes.append(text[index])
                index += 1
                continue
            }
            guard index + 2 < text.endIndex, let high = text[index + 1].hexDigitValue,
                let low = text[index + 2].hexDigitValue
            else { return nil }
            bytes.append(high << 4 | low)
            index += 3
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
