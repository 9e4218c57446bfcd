internal import Bytes

/// Decodes a chunked body (RFC 9112, section 7.1), strictly.
///
/// Pass it the bytes as they arrive; it reads each byte once.
package struct ChunkedDecoder: Equatable, Sendable {
    /// What the consumed bytes were.
    package enum Step: Equatable, Sendable {
        /// The input ended inside framing; everything was consumed.
        case needsMore
        /// Body bytes, as a range of the input.
        case data(Range<Int>)
        /// The last chunk and its trailers have ended. The rest of the input belongs to the next message.
        case end
    }

    private enum State: Equatable, Sendable {
        case size(digits: Int)
        case `extension`
        case sizeLineFeed
        case data
        case dataReturn
        case dataLineFeed
        case trailerStart
        case trailerName
        case trailerValue
        case trailerLineFeed
        case endLineFeed
        case done
    }

    private var state: State = .size(digits: 0)
    private var remaining: UInt64 = 0
    /// Bytes of extensions and trailers so far: they are not part of the body, and are limited.
    private var overhead = 0
    private static let overheadLimit = 4096
    private var failure: FramingError?
    /// The trailer lines so far; `nil` if they are not kept.
    private var kept: [UInt8]?

    /// A decoder for one body; trailers cost nothing unless they are kept.
    package init(keepsTrailers: Bool = false) { kept = keepsTrailers ? [] : nil }

    /// The field lines after the last chunk, unchanged, each well-formed and with its line end: at most 4 KiB. Empty
    /// before the end, and if trailers are not kept. `TrailerSection` selects those that may be forwarded.
    package var trailers: [UInt8] { state == .done ? kept ?? [] : [] }

    /// Consumes `input` from `index` on, and advances `index`. After an error or the end, every call has the same
    /// result: later bytes never count as a body.
    package mutating func next(_ input: Span<UInt8>, from index: inout Int) throws(FramingError) -> Step {
        if let failure { throw failure }
        guard state != .done else { return .end }
        while index < input.count {
            if state == .data {
                let count = Int(min(remaining, UInt64(input.count - index)))
                let range = index..<index + count
                index += count
                remaining -= UInt64(count)
                if remaining == 0 { state = .dataReturn }
                return .data(range)
            }
            let byte = input[index]
            index += 1
            do throws(FramingError) {
                try step(byte)
            } catch {
                failure = error
                throw error
            }
            if state == .done { return .end }
        }
        return .needsMore
    }

    private mutating func step(_ byte: UInt8) throws(FramingError) {
        switch state {
        case .size(let digits):
            if let value = byte.hexDigitValue {
                // 2^60 is far more than any limit; one digit more could overflow.
                guard digits < 15 else { throw .chunkTooLarge }
                remaining = remaining << 4 | UInt64(value)
                state = .size(digits: digits + 1)
            } else {
                guard digits > 0 else { throw .invalidChunkSize }
                if byte == .carriageReturn {
                    state = .sizeLineFeed
                } else if byte == .semicolon {
                    state = .extension
                } else {
                    throw .invalidChunkSize
                }
            }
        case .extension:
            if byte == .carriageReturn {
                state = .sizeLineFeed
            } else {
                guard byte.isFieldValueByte else { throw .invalidChunkSize }
                try countOverhead(.extensionTooLong)
            }
        case .sizeLineFeed:
            guard byte == .lineFeed else { throw .invalidChunkSize }
            state = remaining == 0 ? .trailerStart : .data
        case .data, .done:
            preconditionFailure("data and the end are not stepped through by byte")
        case .dataReturn:
            guard byte == .carriageReturn else { throw .invalidChunkEnd }
            state = .dataLineFeed
        case .dataLineFeed:
            guard byte == .lineFeed else { throw .invalidChunkEnd }
            state = .size(digits: 0)
        case .trailerStart:
            if byte == .carriageReturn {
                state = .endLineFeed
            } else {
                guard byte.isTokenByte else { throw .invalidTrailer }
                state = .trailerName
                try takeTrailer(byte)
            }
        case .trailerName:
            if byte == .colon {
                state = .trailerValue
            } else {
                guard byte.isTokenByte else { throw .invalidTrailer }
            }
            try takeTrailer(byte)
        case .trailerValue:
            if byte == .carriageReturn {
                state = .trailerLineFeed
            } else {
                guard byte.isFieldValueByte else { throw .invalidTrailer }
            }
            try takeTrailer(byte)
        case .trailerLineFeed:
            guard byte == .lineFeed else { throw .invalidTrailer }
            state = .trailerStart
            try takeTrailer(byte)
        case .endLineFeed:
            guard byte == .lineFeed else { throw .invalidTrailer }
            state = .done
        }
    }

    private mutating func takeTrailer(_ byte: UInt8) throws(FramingError) {
        try countOverhead(.trailersTooLong)
        kept?.append(byte)
    }

    private mutating func countOverhead(_ error: FramingError) throws(FramingError) {
        overhead += 1
        guard overhead <= ChunkedDecoder.overheadLimit else { throw error }
    }
}
