/// One field line of a head, as offsets into the bytes it was parsed from. The value excludes the white space around
/// it.
package struct HeadField: Sendable {
    /// `.other` for an unknown name; then only the bytes at `nameRange` have it.
    package let name: FieldName
    package let nameRange: Range<Int>
    package let value: Range<Int>
}

extension [HeadField] {
    /// The values of every field line of that name, in order.
    package func values(of name: FieldName) -> some Sequence<Range<Int>> {
        lazy.filter { $0.name == name }.map(\.value)
    }

    mutating func lend(_ room: [HeadField]) { if capacity == 0 { self = room } }

    mutating func takeRoom() -> [HeadField] {
        var room: [HeadField] = []
        swap(&room, &self)
        room.removeAll(keepingCapacity: true)
        return room
    }
}
