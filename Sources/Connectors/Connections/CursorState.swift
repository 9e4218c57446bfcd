internal import JSON

/// The cursors of a connection's streams, in the shape that the API shows and accepts.
///
/// A value: editing it is pure. Every member keeps its original bytes, so that numbers keep their digits and members
/// that the service does not understand survive.
struct CursorState: Equatable, Sendable {
    /// The `state_type` of the API.
    enum Kind: String, Sendable, CaseIterable {
        case global
        case stream
        case legacy
        case notSet = "not_set"

        /// Reads a client's word for a kind.
        init?(named word: String) {
            guard let kind = Self.allCases.first(where: { $0.rawValue.hasSameBytes(as: word) }) else { return nil }
            self = kind
        }
    }

    /// A name in the state with its JSON value.
    struct Member: Equatable, Sendable {
        let name: String
        var json: [UInt8]
    }

    var kind: Kind
    var members: [Member]

    /// The state of a connection that never synced.
    static let notSet = CursorState(kind: .notSet, members: [])

    /// The position after which the next sync of `stream` starts; `nil` means from the beginning.
    func cursor(of stream: String) -> CursorValue? {
        guard let member = members.first(where: { $0.name.hasSameBytes(as: stream) }),
            let value = try? JSONValue.read(member.json.span, limits: JSONLimits(values: 200_000))
        else { return nil }
        return value["cursor"].flatMap { CursorValue($0) }
    }

    /// Records that the destination has all rows up to and including `cursor`.
    mutating func advance(_ stream: String, to cursor: CursorValue) {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("cursor")
        switch cursor {
        case .integer(let value): writer.integer(value)
        case .text(let text): writer.string(text)
        }
        writer.endObject()
        let member = Member(name: stream, json: writer.bytes)
        if let index = members.firstIndex(where: { $0.name.hasSameBytes(as: stream) }) {
            members[index] = member
        } else {
            members.append(member)
        }
        if kind == .notSet { kind = .stream }
    }

    /// Removes the cursor of `stream`: its next sync starts from the beginning.
    mutating func rewind(_ stream: String) {
        members.removeAll { $0.name.hasSameBytes(as: stream) }
        if members.isEmpty { kind = .notSet }
    }

    /// `{"state":{...},"state_type":"..."}`
    func rendered() -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("state")
        writer.beginObject()
        for member in members {
            writer.name(member.name)
            writer.raw(member.json.span)
        }
        writer.endObject()
        writer.name("state_type")
        writer.string(kind.rawValue)
        writer.endObject()
        return writer.bytes
    }
}
