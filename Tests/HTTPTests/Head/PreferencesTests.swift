import Testing

@testable import HTTP

@Suite("Preferences")
struct PreferencesTests {
    private func read(_ values: String...) -> Preferences {
        var preferences = Preferences()
        for value in values {
            let bytes = Array(value.utf8)
            preferences.read(bytes.span, 0..<bytes.count)
        }
        return preferences
    }

    @Test(
        "Preferences: the wait is a whole number of seconds, quoted or not, with parameters or not (RFC 7240, section 2)",
        arguments: [
            ("wait=10", 10), ("WAIT = 10", 10), (#"wait="10""#, 10), ("respond-async, wait=10", 10),
            ("wait=10; x=1", 10),
            ("wait=0", 0), (", ,wait=7,", 7), (#"a="x,wait=1", wait=2"#, 2), (#"a="\",wait=1", wait=2"#, 2),
            ("wait=99999999999999999999999999", Int.max), ("wait=1, wait=2", 1),
        ])
    func wait(value: String, expected: Int) { #expect(read(value).wait == expected) }

    @Test(
        "Preferences: what cannot be read is ignored",
        arguments: [
            "", "wait", "wait=", "wait=-1", "wait=1.5", "wait=ten", "waiting=1", "x; wait=1", #"a="wait=1"#, "wait=1s",
            #"wait=""#, #"wait="""#, "=5", "return=minimal",
        ])
    func ignored(value: String) { #expect(read(value) == Preferences()) }

    @Test("Preferences: several field lines are one list, and the first of a name counts")
    func lines() {
        #expect(read("return=minimal", "wait=3", "wait=4").wait == 3)
        #expect(read("handling=strict, handling=lenient").handling == "strict")
    }

    @Test("Preferences: handling is compared in lower case")
    func handling() { #expect(read("Handling=Dry-Run").handling == Preferences.dryRun) }

    @Test("Preferences: any bytes are read without a failure")
    func anyBytes() {
        for seed in 0..<2000 {
            var state = UInt64(seed)
            let bytes = (0..<seed % 40).map { _ -> UInt8 in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Array("wait=10,;\"\\ \thandling-".utf8)[Int(state >> 33) % 22]
            }
            var preferences = Preferences()
            preferences.read(bytes.span, 0..<bytes.count)
            if let wait = preferences.wait { #expect(wait >= 0) }
        }
    }
}
