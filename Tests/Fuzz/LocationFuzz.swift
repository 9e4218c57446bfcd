@testable import Gateway
@testable import Policy

/// Called by libFuzzer with each input: a location of an upstream is mapped to the gateway or is not the upstream's,
/// and a mapped location is not mapped again.
@c(LLVMFuzzerTestOneInput)
func fuzzLocation(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    // Field values contain no other control characters.
    guard bytes.allSatisfy({ $0 == 9 || ($0 >= 32 && $0 != 127) }) else { return 0 }
    for field in [UpstreamLocations.Field.location, .link, .refresh] {
        guard case .mapped(let url) = locations.location(of: bytes, in: field, host: host) else { continue }
        precondition(url.allSatisfy { $0 == 9 || ($0 >= 32 && $0 != 127) })
        precondition(
            locations.location(of: url, in: field, host: host) == .elsewhere, "it is mapped twice: \(text(url))")
        if field == .location {
            // The comparison is by bytes: in a String, a combining character would merge with the slash.
            precondition(url.starts(with: "https://gw:8443/".utf8), "it leads elsewhere: \(text(url))")
        }
    }
    if case .mapped(let path) = locations.location(of: bytes, host: []) {
        precondition(path.first == UInt8(ascii: "/"), "it is no path: \(text(path))")
        precondition(path.count == 1 || ![UInt8(ascii: "/"), UInt8(ascii: "\\")].contains(path[1]), "it names a host")
    }
    return 0
}

private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

private let host = Array("gw:8443".utf8)

private let locations: UpstreamLocations = {
    let endpoints = [
        UpstreamURL(isTLS: false, host: "up.internal", port: 8080, base: "/base"),
        UpstreamURL(isTLS: false, host: "::1", port: 80),
    ]
    var settings = UpstreamSettings(endpoints: endpoints)
    settings.host = .named("API.example.com")
    return UpstreamLocations(endpoints[0], settings)
}()
