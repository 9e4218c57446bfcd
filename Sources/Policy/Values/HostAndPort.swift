internal import Bytes

/// A host with an optional port, as in a URL and the `Host` field (RFC 3986, sections 3.2.2 and 3.2.3).
struct HostAndPort: Equatable {
    /// A name or numeric address in lower case, IPv6 without brackets.
    let host: String
    let port: UInt16?

    /// Reads `HOST` or `HOST:PORT`; mistakes are reported with `code`.
    init(reading text: Substring, _ code: DiagnosticCode) throws(UnitError) {
        let port: Substring?
        if text.hasPrefix("[") {
            guard let bracket = text.firstIndex(of: "]") else {
                throw UnitError(code, "there is no \"]\" after the IPv6 address")
            }
            let address = text[..<bracket].dropFirst()
            guard address.contains(":"), let bytes = IPAddress.bytes(of: address) else {
                throw UnitError(code, "\"[\(address)]\" is not an IPv6 address")
            }
            host = IPAddress.text(of: bytes)
            let rest = text[bracket...].dropFirst()
            guard rest.isEmpty || rest.hasPrefix(":") else {
                throw UnitError(code, "only a colon and a port can follow \"]\"")
            }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2 else {
                throw UnitError(code, "an IPv6 address must be in brackets", "for example \"[::1]:8080\"")
            }
            host = try Self.name(parts.first ?? "", code)
            port = parts.count == 2 ? parts[1] : nil
        }
        self.port = try port.map { port throws(UnitError) in try Self.number(port, code) }
    }

    /// The value of the `Host` field.
    var text: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port.map { "\(name):\($0)" } ?? name
    }

    /// Reads a DNS name or an IPv4 address.
    static func name(_ text: Substring, _ code: DiagnosticCode) throws(UnitError) -> String {
        guard !text.isEmpty else { throw UnitError(code, "the host is missing") }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        let isPlain = labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { $0.isUnreserved && $0 != UInt8(ascii: "~") }
        }
        guard isPlain, text.utf8.count <= 253 else {
            throw UnitError(
                code, "\"\(text)\" is not a host name",
                "write labels of 1 to 63 letters, digits, \"-\" and \"_\", with dots between them")
        }
        // Some resolvers read `127.1` and `0x7f000001` as addresses: a name that ends in a number must be a whole
        // address.
        let last = (labels.last ?? "").lowercased()
        guard !last.utf8.allSatisfy(\.isDigit), !last.hasPrefix("0x") else {
            guard IPAddress.bytes(of: text) != nil else {
                throw UnitError(
                    code, "\"\(text)\" is not an IPv4 address",
                    "write four numbers from 0 to 255, without leading zeros")
            }
            return String(text)
        }
        return text.lowercased()
    }

    private static func number(_ text: Substring, _ code: DiagnosticCode) throws(UnitError) -> UInt16 {
        guard !text.isEmpty else {
            throw UnitError(code, "there is no port after the colon", "add the port, or remove the colon")
        }
        guard text.utf8.allSatisfy(\.isDigit), !text.hasPrefix("0") || text == "0" else {
            throw UnitError(code, "\"\(text)\" is not a port")
        }
        guard let number = UInt16(text), number > 0 else {
            throw UnitError(.outOfRange, "a port must be between 1 and 65535, not \(text)")
        }
        return number
    }
}
