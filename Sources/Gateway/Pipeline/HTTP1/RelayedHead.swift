internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

extension HTTP1Head {
    /// Appends the head of a relayed response. Status and end-to-end fields stay byte for byte, fields of the
    /// upstream's connection are dropped, and the gateway's own fields follow.
    ///
    /// `locations` are the mapped lines that name locations; `nil` if they stay unchanged.
    static func appendRelayed(
        _ head: borrowing ResponseHead, of upstream: UpstreamConnection, as framing: RelayedFraming,
        _ facts: RelayedHeadFacts,
        _ locations: [UInt8]?, for exchange: borrowing Exchange, _ persistence: Persistence,
        _ heads: ResponseHeads, to output: inout [UInt8]
    ) {
        // A length that is still right stays where it is.
        let keepsLength = framing.isLength && head.hasOneLength
        let dropped = keepsLength ? RelayedFields.dropped : RelayedFields.droppedWithLength
        // `withHead` would copy the head, and nearly all responses run this code.
        let input = upstream.input
        let bytes = input.span.extracting(upstream.headStart..<upstream.headStart + head.end)
        if !facts.mayHaveDroppedField && locations == nil {
            head.appendStatusAndEndToEndFields(of: bytes, dropping: dropped, to: &output)
        } else {
            let isMapped = locations != nil
            head.appendStatusAndEndToEndFields(
                of: bytes, dropping: isMapped ? dropped.union([.location]) : dropped,
                droppingOther: { RelayedFields.isDropped($0, $1, isMapped: isMapped) }, to: &output)
            if let locations { output += locations }
        }
        if !facts.hasDate { appendDate(heads, to: &output) }
        switch framing {
        case .none: break
        case .length where keepsLength: break
        case .length(let length):
            output += HTTP1Line.contentLength
            output.append(decimal: length)
            output += HTTP1Line.end
        case .chunked: output += HTTP1Line.chunked
        case .untilClose: break
        }
        appendOwnFields(for: exchange, facts.limits, persistence, heads, to: &output)
    }

    /// The lines of all fields that name locations, if one of them names one of the upstream's own; otherwise `nil`.
    // Not inlined, because few responses have such fields.
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
                lines += bytes.array(field.nameRange) + [.colon, .space] + value + HTTP1Line.end
            }
            return isAnyMapped ? lines : nil
        }
    }

    /// Appends an interim response (RFC 9110, section 15.2). The request may still fail, and an error must not reveal
    /// internals. So the only field that is kept is `Link`, and only if it names no host.
    static func appendInterim(of upstream: UpstreamConnection, to output: inout [UInt8]) {
        // The gateway's reason phrase replaces the upstream's, which can be any text.
        output += HTTPStatus.line(upstream.status)
        upstream.withHead { head, bytes in
            for field in head.endToEndFields(of: bytes)
            where bytes.spells("link", in: field.nameRange) && !bytes.extracting(field.value).containsHost {
                output.append(bytes, field.nameRange)
                output += [.colon, .space]
                output.append(bytes, field.value)
                output += HTTP1Line.end
            }
        }
        output += HTTP1Line.end
    }
}

extension Span<UInt8> {
    /// Whether the text has two slashes, which start an authority, or a colon, which ends a scheme.
    fileprivate var containsHost: Bool {
        func isSlash(_ byte: UInt8) -> Bool { byte == .slash || byte == UInt8(ascii: "\\") }
        return indices.contains { self[$0] == .colon || $0 > 0 && isSlash(self[$0]) && isSlash(self[$0 - 1]) }
    }
}

/// Facts about a response that its field names show. They are collected in one pass.
struct RelayedHeadFacts {
    var hasDate = false
    /// The head has a `Location`, or a field whose name may be another one that names locations.
    var hasLocation = false
    /// The head has a field without a ``FieldName`` that may not be relayed.
    var mayHaveDroppedField = false
    /// The upstream's own limit fields replace the gateway's: two values of one field would contradict each other.
    var limits = RateLimitFields.Source.ours

    init(_ head: borrowing ResponseHead, of bytes: Span<UInt8>) {
        let limitFields = RelayedFields.limits
        for field in head.fields {
            switch field.name {
            // Recognized by length and a few bytes, which few other names have.
            case .other:
                if UpstreamLocations.Field.isPossible(field.nameRange.count) { hasLocation = true }
                if RelayedFields.mayBeDropped(bytes, field.nameRange) { mayHaveDroppedField = true }
            case .date: hasDate = true
            case .location: hasLocation = true
            case let name: if limitFields.contains(name) { limits = .upstreams }
            }
        }
    }
}
