import Foundation
import Journal
import Testing
import Transport

@Suite("Journal in a folder of this machine")
struct JournalFolderTests {
    @Test("JournalFolder: a file is created, goes on after a torn write, is renamed and removed")
    func life() throws {
        let path = "\(NSTemporaryDirectory())/journal-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let folder = JournalFolder(path: path)
        #expect(try folder.names() == [] && folder.contents(of: "a") == nil)
        #expect(throws: SystemError.self) { try folder.open("a") }
        #expect(throws: SystemError.self) { try JournalFolder(path: path + "/b").names() }

        var file = try JournalAppender(creating: "a", on: folder, salt: 9)
        try file.append([[1, 2, 3], []])
        try file.synchronize()
        let whole = try #require(try folder.contents(of: "a"))
        #expect(whole.count == file.durableLength && !file.needsCut)
        // A write that nobody confirmed.
        try file.append([[4]])
        #expect(file.needsCut && file.durableLength == whole.count)

        var again = try JournalAppender(continuing: "a", on: folder, salt: 9, length: whole.count)
        try again.cutToDurable()
        #expect(try folder.contents(of: "a") == whole)
        try again.append([[5]])
        try again.synchronize()
        try folder.rename("a", to: "b")
        try folder.synchronizeNames()
        #expect(try folder.names() == ["b"])
        let contents = try #require(try JournalContents.read("b", from: folder))
        #expect(contents.records.map { Array($0) } == [[1, 2, 3], [], [5]] && contents.tornBytes == 0)
        try folder.remove("b")
        try folder.remove("b")
        #expect(try folder.names() == [])
        let short = JournalFolder(path: path, maxBytes: 8)
        _ = try JournalAppender(creating: "c", on: short, salt: 1)
        #expect(throws: SystemError.self) { try short.contents(of: "c") }
    }

    @Test("JournalFolder: the frames of a file are found up to what is torn or damaged")
    func beginning() {
        var file = JournalHeader(salt: 3).encoded()
        for record in [[1], [2, 2], [3, 3, 3]] as [[UInt8]] {
            JournalFrame.append(record, at: file.count, salt: 3, to: &file)
        }
        let whole = JournalFrame.beginning(of: file, salt: 3)
        #expect(whole.payloads.map { Array(file[$0]) } == [[1], [2, 2], [3, 3, 3]])
        #expect(whole.end == file.count && whole.rest == .none)
        let torn = JournalFrame.beginning(of: Array(file.dropLast()), salt: 3)
        #expect(torn.payloads == Array(whole.payloads.prefix(2)) && torn.rest == .torn)
        #expect(torn.end == whole.payloads[1].upperBound)
        file[whole.payloads[1].lowerBound] ^= 1
        let damaged = JournalFrame.beginning(of: file, salt: 3)
        #expect(damaged.payloads == Array(whole.payloads.prefix(1)) && damaged.rest == .damaged)
        #expect(JournalFrame.beginning(of: file, salt: 4).payloads.isEmpty)
    }

    @Test("JournalFolder: zeros after a crash are torn only where they can be of the last frame")
    func zeros() {
        var file = JournalHeader(salt: 3).encoded()
        var starts: [Int] = []
        for length in [5, 300, 300] {
            starts.append(file.count)
            JournalFrame.append(Array(repeating: 7, count: length), at: file.count, salt: 3, to: &file)
        }
        func rest(zerosFrom offset: Int) -> JournalFrame.Beginning.Rest {
            let zeros = Array(file[..<offset]) + Array(repeating: 0, count: file.count - offset)
            return JournalFrame.beginning(of: zeros, salt: 3).rest
        }
        // Anywhere in the last frame, its length included: what a crash leaves of it.
        for offset in starts[2]..<file.count { #expect(rest(zerosFrom: offset) == .torn, "zeros from \(offset)") }
        // From within the frame before it, whose head says that more followed: acknowledged bytes are gone.
        for offset in (starts[1] + 9)..<starts[2] {
            #expect(rest(zerosFrom: offset) == .damaged, "zeros from \(offset)")
        }
    }
}
