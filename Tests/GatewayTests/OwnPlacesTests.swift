import Testing

@testable import Gateway
@testable import Policy

@Suite("Places of an upstream")
struct OwnPlacesTests {
    private func mapped(_ value: String, _ url: UpstreamURL, _ settings: UpstreamSettings, host: String) -> String? {
        OwnPlaces(url, settings).mapped(Array(value.utf8), host: Array(host.utf8)).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    @Test(
        "What begins with its URL is a place of the gateway",
        arguments: [
            ("http://up.internal:8080/base/x?a=%7C#f", "https://gw:8443/x?a=%7C#f"),
            ("https://UP.internal:8080/base/x", "https://gw:8443/x"),
            ("HTTP://up.internal:8080/base", "https://gw:8443/"),
            ("//up.internal:8080/base/", "https://gw:8443/"), ("http://up.internal:8080/base?a", "https://gw:8443/?a"),
            ("http://other.internal/x", "https://gw:8443/x"), ("http://other.internal:80", "https://gw:8443/"),
            ("http://[::1]:81/x", "https://gw:8443/x"), ("https://api.example.com/base/x", "https://gw:8443/x"),
            ("http://up.internal:8080/bases", nil), ("http://up.internal:8080/x", nil),
            ("http://up.internal/base/x", nil),
            ("http://up.internal:8080.evil/base/x", nil), ("http://user@up.internal:8080/base/x", nil),
            ("http://up.internal:8080\\@evil/base", nil), ("ftp://up.internal:8080/base/x", nil), ("/base/x", nil),
            ("base", nil), ("", nil), ("http:", nil), ("http:/", nil), ("//", nil),
            ("https://elsewhere.example/x", nil),
        ] as [(String, String?)])
    func places(value: String, place: String?) {
        let url = UpstreamURL(isTLS: false, host: "up.internal", port: 8080, base: "/base")
        var settings = UpstreamSettings(endpoints: [
            url, UpstreamURL(isTLS: false, host: "other.internal", port: 80),
            UpstreamURL(isTLS: false, host: "::1", port: 81),
        ])
        settings.host = .named("API.example.com")
        #expect(mapped(value, url, settings, host: "gw:8443") == place)
    }

    @Test("Where nobody said how the gateway is called it is a path, and names no host")
    func paths() {
        let url = UpstreamURL(isTLS: false, host: "up", port: 8080)
        let settings = UpstreamSettings(endpoints: [url])
        #expect(mapped("http://up:8080/x", url, settings, host: "") == "/x")
        #expect(mapped("http://up:8080", url, settings, host: "") == "/")
        #expect(mapped("http://up:8080//evil.example/x", url, settings, host: "") == "/evil.example/x")
        #expect(mapped("http://up:8080/\\evil.example/x", url, settings, host: "") == "/evil.example/x")
    }
}
