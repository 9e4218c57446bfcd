internal import Bytes
internal import JSON

/// Reads `connectors.json5`, which defines the connections.
///
/// All mistakes are reported at once, each with its line and column.
struct ConnectionFile {
    /// Why the file is invalid: one line per mistake.
    struct Refusal: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    private let text: SourceText
    private let stateDirectory: String
    private var mistakes: [String] = []

    /// The connections in the file `name` with the content `bytes`; relative folders start in `stateDirectory`.
    static func read(
        _ bytes: [UInt8], name: String, stateDirectory: String
    ) throws(Refusal) -> [ConnectionDefinition] {
        var file = ConnectionFile(text: SourceText(name: name, bytes: bytes), stateDirectory: stateDirectory)
        let root: JSONValue
        do { root = try JSONValue.read(bytes.span, as: .json5, limits: JSONLimits(values: 10_000_000)) } catch {
            file.addError(error.message, error.range)
            throw Refusal(description: file.mistakes.joined(separator: "\n"))
        }
        let definitions = file.connections(root)
        guard file.mistakes.isEmpty else { throw Refusal(description: file.mistakes.joined(separator: "\n")) }
        return definitions
    }

    private mutating func addError(_ message: String, _ range: SourceRange) {
        mistakes.append("\(text.name):\(text.position(of: range.lowerBound)): error: \(message)")
    }

    private mutating func connections(_ root: JSONValue) -> [ConnectionDefinition] {
        check(root, ["connections"])
        guard let list = root["connections"]?.array else {
            addError("\"connections\" must be a list of connections", root["connections"]?.range ?? root.range)
            return []
        }
        var seen: Set<ConnectionKey> = []
        var folders: Set<String> = []
        return list.compactMap { value in
            guard let definition = connection(value) else { return nil }
            guard seen.insert(definition.key).inserted else {
                addError("the connection \"\(definition.key.id)\" is defined twice in its organization", value.range)
                return nil
            }
            // With one folder, two jobs would write the same files at once.
            if !folders.insert(definition.destinationFolder).inserted {
                addError(
                    "another connection has this destination folder already", value["destination"]?.range ?? value.range
                )
            }
            return definition
        }
    }

    private mutating func connection(_ value: JSONValue) -> ConnectionDefinition? {
        check(value, ["id", "organization", "name", "family", "source", "destination", "pace", "streams"])
        guard value.object != nil, let id = name("id", of: value), let organization = name("organization", of: value)
        else { return nil }
        let family = choice("family", of: value, ConnectionDefinition.Family.self, default: .aitronos)
        if family == .airweave, !id.isUUID { addError("the id of an airweave connection must be a UUID", value.range) }
        let source = value["source"] ?? value
        check(value["source"], ["folder", "format"])
        check(value["destination"], ["folder"])
        let key = ConnectionKey(organization: organization, id: id)
        guard let sourceFolder = folder(in: source, value, "source"),
            let destinationFolder = folder(in: value["destination"] ?? value, value, "destination")
        else { return nil }
        return ConnectionDefinition(
            key: key, name: value["name"]?.string ?? id, family: family,
            source: FolderSource(
                folder: sourceFolder,
                format: choice("format", of: source, FolderSource.Format.self, default: .ndjson)),
            destinationFolder: destinationFolder, streams: streams(value), pace: pace(value["pace"]))
    }

    private mutating func streams(_ value: JSONValue) -> [StreamDefinition] {
        guard let members = value["streams"]?.object else {
            addError("\"streams\" must be an object of streams", value["streams"]?.range ?? value.range)
            return []
        }
        return members.map { member in
            check(member.value, ["cursor", "key"])
            if !member.name.isPlainName {
                addError("a stream's name may have letters, digits, _ and -", member.nameRange)
            }
            return StreamDefinition(
                name: member.name, cursorField: text("cursor", of: member.value),
                keyField: text("key", of: member.value))
        }
    }

    private mutating func pace(_ value: JSONValue?) -> Pace {
        guard let value else { return .unpaced }
        check(value, ["rowsPerSecond", "minimumSeconds"])
        var pace = Pace.unpaced
        if let rows = value["rowsPerSecond"] {
            if let count = rows.integer, count > 0, count <= 100_000_000 {
                pace.rowsPerSecond = Int(count)
            } else {
                addError("\"rowsPerSecond\" must be a positive integer", rows.range)
            }
        }
        if let minimum = value["minimumSeconds"] {
            if let seconds = minimum.double, seconds >= 0, seconds <= 3600 {
                pace.minimumMilliseconds = Int64(seconds * 1000)
            } else {
                addError("\"minimumSeconds\" must be a number from 0 to 3600", minimum.range)
            }
        }
        return pace
    }
}

extension ConnectionFile {
    private mutating func check(_ value: JSONValue?, _ names: [String]) {
        guard let value else { return }
        guard let members = value.object else { return addError("this must be an object", value.range) }
        for member in members where !names.contains(member.name) {
            addError("unknown name \"\(member.name)\"; known are \(names.joined(separator: ", "))", member.nameRange)
        }
    }

    private mutating func text(_ name: String, of value: JSONValue) -> String? {
        guard let member = value[name] else { return nil }
        if member.string == nil { addError("\"\(name)\" must be a string", member.range) }
        return member.string
    }

    private mutating func name(_ name: String, of value: JSONValue) -> String? {
        guard let text = text(name, of: value) else {
            if value[name] == nil { addError("\"\(name)\" is missing", value.range) }
            return nil
        }
        guard text.isPlainName else {
            addError("\"\(name)\" may have letters, digits, _ and -, at most 128", value[name]?.range ?? value.range)
            return nil
        }
        return text
    }

    private mutating func folder(in value: JSONValue, _ connection: JSONValue, _ name: String) -> String? {
        guard let folder = text("folder", of: value), !folder.isEmpty else {
            addError("\"\(name)\" must be an object with a \"folder\"", connection[name]?.range ?? connection.range)
            return nil
        }
        return folder.hasPrefix("/") ? folder : "\(stateDirectory)/\(folder)"
    }

    private mutating func choice<Value: RawRepresentable & CaseIterable>(
        _ name: String, of value: JSONValue, _ type: Value.Type, default standard: Value
    ) -> Value where Value.RawValue == String {
        guard let member = value[name] else { return standard }
        if let choice = member.string.flatMap({ Value(rawValue: $0) }) { return choice }
        let words = Value.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
        addError("\"\(name)\" must be \(words)", member.range)
        return standard
    }
}

extension String {
    /// Whether this can be part of a path, and a file name, as it is.
    fileprivate var isPlainName: Bool {
        !isEmpty && utf8.count <= 128
            && utf8.allSatisfy { $0.isLetterOrDigit || $0 == .underscore || $0 == .hyphen }
    }
}
