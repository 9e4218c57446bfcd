import Testing

@testable import Crypto

@Suite("OpenSSLVersion")
struct OpenSSLVersionTests {
    @Test(
        "OpenSSLVersion: buffers are released only by versions in which CVE-2024-4741 is mended",
        arguments: [
            (0x3000_0000, false), (0x3000_00D0, false), (0x3000_00E0, true), (0x3000_0130, true), (0x3010_0050, false),
            (0x3010_0060, true), (0x3020_0010, false), (0x3020_0020, true), (0x3030_0000, false), (0x3030_0010, true),
            (0x3040_0000, true), (0x3050_0000, true), (0x4000_0000, true), (0x1010_117F, false),
        ] as [(UInt, Bool)])
    func safeRelease(number: UInt, isSafe: Bool) {
        #expect(OpenSSLVersion(number: number).freesBuffersSafely == isSafe)
    }

    @Test("OpenSSLVersion: that of the loaded library is 3 or newer")
    func loaded() { #expect(OpenSSLVersion.loaded.number >> 28 >= 3) }
}
