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

    mutating func adoptStorage(_ storage: [HeadField]) { if capacity == 0 { self = storage } }

    mutating func takeStorage() -> [HeadField] {
        var storage: [HeadField] = []
        swap(&storage, &self)
        storage.removeAll(keepingCapacity: true)
        return storage
    }
}
