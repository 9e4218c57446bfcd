internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

extension HTTP1Head {
    /// Appends the head of the upstream's answer as the client gets it: status and end-to-end fields byte for byte, without
    /// what belongs to the upstream's connection; then what the gateway says itself.
    ///
    /// `locations` are the lines that name locations, as clients reach them; `nil` where they may go on as they are.
    static func appendRelayed(
        _ head: borrowing ResponseHead, of upstream: UpstreamConnection, as framing: RelayedFraming,
        _ marks: RelayedMarks,
        _ locations: [UInt8]?, for exchange: borrowing Exchange, _ persistence: Persistence,
        _ heads: ResponseHeads, to output: inout [UInt8]
    ) {
        // The length stays where it is, if there is one and it is still true.
        let keepsLength = framing.isLength && head.hasOneLength
        let dropped = keepsLength ? RelayedFields.dropped : RelayedFields.droppedWithLength
        // Not by `withHead`, which copies the head: nearly every response comes by here.
        let input = upstream.input
        let bytes = input.span.extracting(upstream.headStart..<upstream.headStart + head.end)
        if !marks.hasOddName && locations == nil {
            head.appendStatusAndEndToEndFields(of: bytes, dropping: dropped, to: &output)
        } else {
            let isMapped = locations != nil
            head.appendStatusAndEndToEndFields(
                of: bytes, dropping: isMapped ? dropped.union([.location]) : dropped,
                droppingOther: { RelayedFields.isDropped($0, $1, isMapped: isMapped) }, to: &output)
            if let locations { output += locations }
        }
        if !marks.hasDate { output += heads.dateLine }
        switch framing {
        case .none: break
        case .length where keepsLength: break
        case .length(let length):
            output += ForwardedFields.contentLength
            output.append(decimal: length)
            output += ForwardedFields.lineEnd
        case .chunked: output += ForwardedFields.chunked
        case .untilClose: break
        }
        appendOwnFields(for: exchange, marks.limits, persistence, heads, to: &output)
    }

    /// The lines of all fields that name locations, if one of them names a location of the upstream's own; else `nil`.
    // Not inlined: few answers have any.
    @inline(never)
    static func mappedLocations(of upstream: UpstreamConnection, for exchange: borrowing Exchange, host: [UInt8])
        -> [UInt8]?
    {
        guard let locations = exchange.endpoint?.locations else { return nil }
        return upstream.withHead { head, bytes in
            var lines: [UInt8] = []
            var isAnyMapped = false
            for field in head.endToEndFields(of: bytes) {
                guard let kind = UpstreamLocations.Field(field, bytes) else { continue }
                var value = bytes.array(field.value)
                switch locations.location(of: value, in: kind, host: host) {
                case .elsewhere: break
                case .mapped(let mapped):
                    isAnyMapped = true
                    value = mapped
                case .inside:
                    isAnyMapped = true
                    continue
                }
                lines += bytes.array(field.nameRange) + [.colon, .space] + value + ForwardedFields.lineEnd
            }
            return isAnyMapped ? lines : nil
        }
    }

    /// Appends an interim answer (RFC 9110, section 15.2). The request may still fail, and an error must not tell of the
    /// inside: so of its fields only a `Link` goes on, and only if it names no host.
    static func appendInterim(of upstream: UpstreamConnection, to output: inout [UInt8]) {
        // The reason is the upstream's own text.
        output += HTTPStatus.line(upstream.status)
        upstream.withHead { head, bytes in
            for field in head.endToEndFields(of: bytes)
            where bytes.spells("link", in: field.nameRange) && !bytes.extracting(field.value).containsHost {
                output.append(bytes, field.nameRange)
                output += [.colon, .space]
                output.append(bytes, field.value)
                output += ForwardedFields.lineEnd
            }
        }
        output += ForwardedFields.lineEnd
    }
}

extension Span<UInt8> {
    /// Whether there are two slashes, which begin an authority, or a colon, which ends a scheme.
    fileprivate var containsHost: Bool {
        func isSlash(_ byte: UInt8) -> Bool { byte == .slash || byte == UInt8(ascii: "\\") }
        return indices.contains { self[$0] == .colon || $0 > 0 && isSlash(self[$0]) && isSlash(self[$0 - 1]) }
    }
}

/// What the names of an answer's fields tell, found out in one pass.
struct RelayedMarks {
    var hasDate = false
    /// A `Location`, or what may be another field that names locations.
    var hasLocation = false
    /// What may be a `Proxy-Authentication-Info`.
    var hasOddName = false
    /// The upstream's own limit fields win: two values of one field would be two answers to one question.
    var limits = RateLimitFields.Source.ours

    init(_ head: borrowing ResponseHead) {
        let limitFields = RelayedFields.limits
        for field in head.fields {
            switch field.name {
            // By their lengths: hardly another name has them.
            case .other:
                if UpstreamLocations.Field.isPossible(field.nameRange.count) { hasLocation = true }
                if field.nameRange.count == 25 { hasOddName = true }
            case .date: hasDate = true
            case .location: hasLocation = true
            case let name: if limitFields.contains(name) { limits = .upstreams }
            }
        }
    }
}
