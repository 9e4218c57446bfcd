import Foundation
import Policy
import Transport

/// Where the gateway listens: flags first, then variables, then the policy.
struct Addresses {
    let listen: [SocketAddress]
    let admin: SocketAddress?
    let workers: Int

    init(_ arguments: Arguments, _ settings: GatewaySettings) throws(ServeCommand.Refusal) {
        if let text = arguments.value("listen") {
            var addresses: [SocketAddress] = []
            for part in text.split(separator: ",", omittingEmptySubsequences: false) {
                addresses.append(try Addresses.address(String(part), "--listen"))
            }
            listen = addresses
        } else {
            var addresses: [SocketAddress] = []
            for address in settings.listen {
                addresses.append(try Addresses.address(address.description, "gateway.listen in the policy"))
            }
            listen = addresses
        }
        switch arguments.value("admin") {
        case "off"?: admin = nil
        case let text?: admin = try Addresses.address(text, "--admin")
        case nil:
            guard let address = settings.admin else {
                admin = nil
                break
            }
            admin = try Addresses.address(address.description, "gateway.admin in the policy")
        }
        workers = try Addresses.workers(arguments) ?? settings.workers ?? availableProcessors()
    }

    /// What `--workers` says.
    static func workers(_ arguments: Arguments) throws(ServeCommand.Refusal) -> Int? {
        guard let text = arguments.value("workers") else { return nil }
        guard let number = Int(text), (1...1024).contains(number) else {
            throw ServeCommand.Refusal(line: "--workers takes a whole number from 1 to 1024, not \"\(text)\"")
        }
        return number
    }

    /// `place` is where the text comes from, for the refusal.
    static func address(_ text: String, _ place: String) throws(ServeCommand.Refusal) -> SocketAddress {
        guard let address = SocketAddress(text) else {
            throw ServeCommand.Refusal(
                line:
                    "\(place): \"\(text)\" is not an address: write HOST:PORT with a numeric host, such as 127.0.0.1:8443 or [::1]:8443"
            )
        }
        return address
    }
}
