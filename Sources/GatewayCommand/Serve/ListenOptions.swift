import Foundation
import Policy
import Transport

/// Where the gateway listens: flags first, then variables, then the policy.
struct ListenOptions {
    let listen: [SocketAddress]
    let admin: SocketAddress?
    let workers: Int

    /// What flags and variables say; `nil` where they say nothing.
    struct Flags {
        var listen: [SocketAddress]?
        /// `.some(nil)`: there is to be none.
        var admin: SocketAddress??
        var workers: Int?

        /// The policy's settings that a flag or variable decides, whatever the policy says.
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

    /// What `--workers` says.
    static func workers(_ arguments: Arguments) throws(StartupError) -> Int? {
        guard let text = arguments.value("workers") else { return nil }
        guard let number = Int(text), (1...1024).contains(number) else {
            throw StartupError(
                line: "--workers takes a whole number from 1 to 1024, not \"\(text)\"", isMisuse: true)
        }
        return number
    }

    /// The address that a flag or variable gives; `:PORT` stands for all addresses. `flag` is its name, for the refusal.
    static func address(_ text: String, _ flag: String) throws(StartupError) -> SocketAddress {
        guard let address = ListenAddress(text.hasPrefix(":") ? "*\(text)" : text),
            let resolved = SocketAddress(address)
        else { throw noAddress(text, flag, isMisuse: true) }
        return resolved
    }

    /// The policy's address as the system knows it. `field` is where it stands, for the refusal.
    private static func resolved(_ address: ListenAddress, _ field: String) throws(StartupError) -> SocketAddress {
        guard let resolved = SocketAddress(address) else {
            throw noAddress(address.description, field, isMisuse: false)
        }
        return resolved
    }

    private static func noAddress(_ text: String, _ place: String, isMisuse: Bool) -> StartupError {
        StartupError(
            line:
                "\(place): \"\(text)\" is not an address: write HOST:PORT with a numeric host, such as 127.0.0.1:8443 or [::1]:8443",
            isMisuse: isMisuse)
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
    /// `nil` for a name other than `localhost`.
    fileprivate init?(_ address: ListenAddress) { self.init(listeningOn: address.host, port: address.port) }
}
