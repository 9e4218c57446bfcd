internal import COpenSSL

/// A version of OpenSSL, as `OpenSSL_version_num` gives it: 0xMNN00PP0 for major M, minor NN and patch PP.
struct OpenSSLVersion {
    let number: UInt

    /// The version of the library that this process has loaded, which may be another one than that of its headers.
    static let loaded = OpenSSLVersion(number: UInt(OpenSSL_version_num()))

    /// Whether `SSL_free_buffers` may be called at any time. Older versions free a buffer in which the head of a record
    /// has arrived, and then use it (CVE-2024-4741).
    var freesBuffersSafely: Bool {
        let (minor, patch) = (number >> 20 & 0xFF, number >> 4 & 0xFF)
        switch (number >> 28, minor) {
        case (3, 0): return patch >= 14
        case (3, 1): return patch >= 6
        case (3, 2): return patch >= 2
        case (3, 3): return patch >= 1
        case (let major, _): return major >= 3
        }
    }
}
