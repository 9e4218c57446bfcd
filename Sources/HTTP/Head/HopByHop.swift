internal import Bytes

/// Selects the field lines of a message that go to the next hop (RFC 9110, section 7.6.1).
package enum HopByHop {
    /// The fields of one connection, even if its Connection field does not name them.
    package static let names: FieldNameSet = [
        .connection, .keepAlive, .proxyConnection, .te, .transferEncoding, .upgrade,
    ]

    /// Appends the lines of `fields` that are forwarded, with one copy for each run; the last line ends at
    /// `endOfLines`.
    static func append(
        _ fields: [HeadField], of bytes: Span<UInt8>, from first: Int? = nil, endOfLines: Int, nominated: Nominations,
        dropping: FieldNameSet, droppingOther isDropped: (Span<UInt8>, Range<Int>) -> Bool, to output: inout [UInt8]
    ) {
        let dropping = dropping.union(names)
        var start = first ?? fields.first?.nameRange.lowerBound ?? endOfLines
        for index in fields.indices {
            let field = fields[index]
            let ends =
                field.name.isOther ? isDropped(bytes, field.nameRange) : dropping.contains(field.name)
            guard ends || nominated.contains(field, of: bytes) else { continue }
            if start < field.nameRange.lowerBound { output.append(bytes, start..<field.nameRange.lowerBound) }
            start = index + 1 < fields.count ? fields[index + 1].nameRange.lowerBound : endOfLines
        }
        if start < endOfLines { output.append(bytes, start..<endOfLines) }
    }
}

extension RequestHead {
    /// Appends the field lines that go to the upstream, unchanged from `bytes`.
    ///
    /// `isDropped` decides about names that are not well known. The caller appends its own fields after these, so that
    /// the client's Connection cannot remove them.
    package func appendEndToEndFields(
        of bytes: Span<UInt8>, dropping: FieldNameSet = [],
        droppingOther isDropped: (Span<UInt8>, Range<Int>) -> Bool = { _, _ in false }, to output: inout [UInt8]
    ) {
        HopByHop.append(
            fields, of: bytes, endOfLines: end - 2, nominated: nominatesFields ? Nominations(fields, of: bytes) : .none,
            dropping: dropping, droppingOther: isDropped, to: &output)
    }
}

extension ResponseHead {
    /// Appends the status line, with our version, and the field lines that go to the client, unchanged from `bytes`: in
    /// one piece if none is dropped.
    package func appendStatusAndEndToEndFields(
        of bytes: Span<UInt8>, dropping: FieldNameSet,
        droppingOther isDropped: (Span<UInt8>, Range<Int>) -> Bool = { _, _ in false }, to output: inout [UInt8]
    ) {
        var lines: Int? = ResponseHead.version.count
        output += ResponseHead.version
        // Upstreams without a reason often omit the space before it, which is required (RFC 9112, section 4).
        if reason.isEmpty {
            output.append(.space)
            output.append(decimal: status)
            output += [.space, .carriageReturn, .lineFeed]
            lines = nil
        }
        HopByHop.append(
            fields, of: bytes, from: lines, endOfLines: end - 2,
            nominated: nominatesFields ? Nominations(fields, of: bytes) : .none, dropping: dropping,
            droppingOther: isDropped, to: &output)
    }

    private static let version = Array("HTTP/1.1".utf8)

    /// There is one Content-Length line, so it can be forwarded unchanged.
    package var hasOneLength: Bool {
        var lines = 0
        for field in fields where field.name == .contentLength { lines += 1 }
        return lines == 1
    }

    /// The field lines that are forwarded, one by one.
    package func endToEndFields(of bytes: Span<UInt8>) -> [HeadField] {
        let nominated = nominatesFields ? Nominations(fields, of: bytes) : .none
        return fields.filter { !HopByHop.names.contains($0.name) && !nominated.contains($0, of: bytes) }
    }
}

/// The fields of a head that its Connection names.
struct Nominations {
    private var names: Set<[UInt8]> = []

    static let none = Nominations()

    private init() {}

    /// The work is linear in the size of the head, however many names a peer lists: the hash function is seeded.
    init(_ fields: [HeadField], of bytes: Span<UInt8>) {
        var name: [UInt8] = []
        var present: Set<[UInt8]> = []
        for field in fields {
            bytes.lowercase(field.nameRange, into: &name)
            present.insert(name)
        }
        for value in fields.values(of: .connection) {
            var start = value.lowerBound
            while let option = bytes.nextListItem(in: value, from: &start) {
                bytes.lowercase(option, into: &name)
                if present.contains(name) { names.insert(name) }
            }
        }
        names.subtract(Nominations.unremovable)
    }

    func contains(_ field: HeadField, of bytes: Span<UInt8>) -> Bool {
        guard !names.isEmpty else { return false }
        var name: [UInt8] = []
        bytes.lowercase(field.nameRange, into: &name)
        return names.contains(name)
    }

    /// The options that name no field, and the fields without which the message would end elsewhere, reach another
    /// host, or be for another organization than the authorized one: no peer can remove those.
    private static let unremovable = ["close", "keep-alive", "content-length", "host", "x-organization-id"].map {
        Array($0.utf8)
    }
}

extension Span<UInt8> {
    fileprivate func lowercase(_ range: Range<Int>, into name: inout [UInt8]) {
        name.removeAll(keepingCapacity: true)
        for index in range { name.append(self[index].lowercased) }
    }
}
