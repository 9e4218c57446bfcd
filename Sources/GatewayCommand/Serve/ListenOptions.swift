import Foundation
import Policy
import Transport

/// The addresses and workers of the gateway. A flag overrides a variable, and both override the policy.
struct ListenOptions {
    let listen: [SocketAddress]
    let admin: SocketAddress?
    let workers: Int

    /// The values of flags and variables; `nil` for an option without a value.
    struct Flags {
        var listen: [SocketAddress]?
        /// `.some(nil)` for `off`: the gateway has no admin listener.
        var admin: SocketAddress??
        var workers: Int?

        /// The names of the settings that a flag or variable overrides.
        var overridden: Set<String> {
            var names: Set<String> = []
            if listen != nil { names.insert("gateway.listen") }
            if admin != nil { names.insert("gateway.admin") }
            if workers != nil { names.insert("gateway.workers") }
            return names
        }
    }

    init(_ flags: Flags, _ settings: GatewaySettings) throws(StartupError) {
        if let given = flags.listen {
            listen = given
        } else {
            var addresses: [SocketAddress] = []
            for address in settings.listen {
                addresses.append(try ListenOptions.resolved(address, "gateway.listen in the policy"))
            }
            listen = addresses
        }
        if let given = flags.admin {
            admin = given
        } else if let address = settings.admin {
            admin = try ListenOptions.resolved(address, "gateway.admin in the policy")
        } else {
            admin = nil
        }
        workers = flags.workers ?? settings.workers ?? availableProcessors()
    }

    /// The value of `--workers`.
    static func workers(_ arguments: Arguments) throws(StartupError) -> Int? {
        guard let text = arguments.value("workers") else { return nil }
        guard let number = Int(text), (1...1024).contains(number) else {
            throw StartupError(
                line: "--workers must be a whole number from 1 to 1024, not \"\(text)\"", isMisuse: true)
        }
        return number
    }

    /// The address in a flag or variable; `:PORT` means all addresses. `flag` is the name to print in an error.
    static func address(_ text: String, _ flag: String) throws(StartupError) -> SocketAddress {
        guard let address = ListenAddress(text.hasPrefix(":") ? "*\(text)" : text),
            let resolved = SocketAddress(address)
        else { throw noAddress(text, flag, isMisuse: true) }
        return resolved
    }

    /// An address of the policy as a socket address. `field` is the name to print in an error.
    private static func resolved(_ address: ListenAddress, _ field: String) throws(StartupError) -> SocketAddress {
        guard let resolved = SocketAddress(address) else {
            throw noAddress(address.description, field, isMisuse: false)
        }
        return resolved
    }

    private static func noAddress(_ text: String, _ place: String, isMisuse: Bool) -> StartupError {
        let remedy =
            bracketed(text).map { "write \($0), with the IPv6 address in brackets" }
            ?? "write HOST:PORT with a numeric host, such as 127.0.0.1:8443 or [::1]:8443"
        return StartupError(line: "\(place): \"\(text)\" is not an address: \(remedy)", isMisuse: isMisuse)
    }

    /// The corrected text if it is an IPv6 address without brackets. The brackets are required, because the last group
    /// of the address looks like a port (RFC 3986, section 3.2.2).
    private static func bracketed(_ text: String) -> String? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let (host, port) = (text[..<colon], text[text.index(after: colon)...])
        if IPAddress.bytes(of: host)?.count == 16, UInt16(port) != nil { return "[\(host)]:\(port)" }
        return IPAddress.bytes(of: text)?.count == 16 ? "[\(text)]:PORT" : nil
    }
}

extension ListenOptions.Flags {
    init(_ arguments: Arguments) throws(StartupError) {
        if let text = arguments.value("listen") {
            var addresses: [SocketAddress] = []
            for part in text.split(separator: ",", omittingEmptySubsequences: false) {
                addresses.append(try ListenOptions.address(String(part), "--listen"))
            }
            listen = addresses
        }
        if let text = arguments.value("admin") {
            admin = text == "off" ? .some(nil) : try ListenOptions.address(text, "--admin")
        }
        workers = try ListenOptions.workers(arguments)
    }
}

extension SocketAddress {
    /// `nil` if the host is a name other than `localhost`.
    fileprivate init?(_ address: ListenAddress) { self.init(listeningOn: address.host, port: address.port) }
}
