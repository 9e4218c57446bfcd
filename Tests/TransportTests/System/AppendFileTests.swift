import Foundation
import Testing

@testable import Transport

@Suite("Append file")
struct AppendFileTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "gateway-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.path)
    }

    @Test("AppendFile: what is appended is there, after what was there, and another name changes nothing")
    func append() throws {
        try withFolder { folder in
            let path = folder + "/a"
            #expect(try FileSystem.contents(of: path, atMost: 10) == nil)
            let large = [UInt8](repeating: 7, count: 300_000)
            let file = try AppendFile(emptying: path)
            try file.append([1, 2])
            try file.append([])
            try file.synchronize()
            try FileSystem.rename(path, to: folder + "/b")
            try FileSystem.synchronize(folder: folder)
            try file.append(large)
            #expect(try FileSystem.contents(of: path, atMost: 10) == nil)
            #expect(try FileSystem.contents(of: folder + "/b", atMost: 1 << 20) == [1, 2] + large)
            #expect(try FileManager.default.attributesOfItem(atPath: folder + "/b")[.posixPermissions] as? Int == 0o600)
            _ = try AppendFile(emptying: folder + "/b")
            #expect(try FileSystem.contents(of: folder + "/b", atMost: 0) == [])
        }
    }

    @Test("AppendFile: what the system refuses is an error that names the call")
    func errors() throws {
        try withFolder { folder in
            let full = try AppendFile(emptying: "/dev/full")
            #expect(throws: SystemError("write", number: ENOSPC)) { try full.append([1]) }
            let absent = folder + "/absent/a"
            #expect(throws: SystemError("open \(absent)", number: ENOENT)) { try AppendFile(emptying: absent) }
            #expect(throws: SystemError("rename \(absent)", number: ENOENT)) {
                try FileSystem.rename(absent, to: absent)
            }
            #expect(throws: SystemError.self) { try FileSystem.synchronize(folder: absent) }
            #expect(throws: SystemError.self) { try FileSystem.contents(of: folder, atMost: 10) }
            let file = try AppendFile(emptying: folder + "/a")
            try file.append([1, 2, 3])
            #expect(throws: SystemError("read \(folder)/a", number: EFBIG)) {
                try FileSystem.contents(of: folder + "/a", atMost: 2)
            }
        }
    }
}

extension AppendFile {
    fileprivate func append(_ bytes: [UInt8]) throws(SystemError) { try append(bytes.span) }
}
