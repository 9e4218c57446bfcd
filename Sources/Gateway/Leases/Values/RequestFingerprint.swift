internal import Bytes

/// A digest of what a request asks for. Two requests with the same fingerprint ask for the same.
package struct RequestFingerprint: Equatable, Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

extension RequestFingerprint {
    /// 32 hexadecimal digits.
    package var text: String {
        var digits: [UInt8] = []
        digits.append(hex: high)
        digits.append(hex: low)
        return String(decoding: digits, as: UTF8.self)
    }

    /// `nil` for other text.
    package init?(_ text: String) {
        let digits = text.utf8.span
        guard digits.count == 32, let high = UInt64(hex: digits.extracting(..<16)),
            let low = UInt64(hex: digits.extracting(16...))
        else { return nil }
        self.init(high: high, low: low)
    }
}
