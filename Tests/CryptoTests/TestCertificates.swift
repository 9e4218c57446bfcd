import Foundation
import TestSupport
import Testing

@testable import Crypto

/// Throw-away certificates, made once for all tests of a run.
enum TestCertificates {
    private static let folder: URL? = {
        let folder = FileManager.default.temporaryDirectory.appending(path: "gateway-crypto-\(getpid())")
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Scripts/make-certs.sh")
        let made = try? Tool.run("/bin/bash", [script.path, folder.path])
        atexit { removeTestCertificates() }
        return made?.status == 0 ? folder : nil
    }()

    fileprivate static func remove() {
        if let folder { try? FileManager.default.removeItem(at: folder) }
    }

    static func file(_ name: String) throws -> String {
        try #require(folder, "make-certs.sh failed").appending(path: name).path
    }

    static func identity(_ name: String) throws -> TLSIdentity {
        TLSIdentity(certificateFile: try file("\(name).pem"), keyFile: try file("\(name).key"))
    }

    static func context(_ names: String..., keys: TicketKeys = TicketKeys()) throws -> TLSContext {
        try TLSContext(identities: names.map(identity), keys: keys)
    }
}

private func removeTestCertificates() { TestCertificates.remove() }
