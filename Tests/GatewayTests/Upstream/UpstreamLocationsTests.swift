import Testing

@testable import Gateway
@testable import Policy

@Suite("Locations in responses of an upstream")
struct UpstreamLocationsTests {
    private static let inside = "(inside)"

    /// The value as clients get it; "(inside)" where they do not.
    private func told(
        _ value: String, in field: UpstreamLocations.Field = .location, _ settings: UpstreamSettings, host: String
    ) -> String {
        let locations = UpstreamLocations(settings.endpoints[0], settings)
        return switch locations.location(of: Array(value.utf8), in: field, host: Array(host.utf8)) {
        case .elsewhere: value
        case .mapped(let bytes): String(decoding: bytes, as: UTF8.self)
        case .inside: Self.inside
        }
    }

    private static let settings: UpstreamSettings = {
        var settings = UpstreamSettings(endpoints: [
            UpstreamURL(isTLS: false, host: "up.internal", port: 8080, base: "/base"),
            UpstreamURL(isTLS: false, host: "other.internal", port: 80),
            UpstreamURL(isTLS: false, host: "::1", port: 81),
        ])
        settings.host = .named("API.example.com")
        return settings
    }()

    @Test(
        "UpstreamLocations: a location below the URL of an endpoint becomes one of the gateway",
        arguments: [
            ("http://up.internal:8080/base/x?a=%7C#f", "https://gw:8443/x?a=%7C#f"),
            ("https://UP.internal:8080/base/x", "https://gw:8443/x"),
            ("HTTP://up.internal:8080/base", "https://gw:8443/"),
            ("//up.internal:8080/base/", "https://gw:8443/"), ("http://up.internal:8080/base?a", "https://gw:8443/?a"),
            ("http://user:secret@up.internal:8080/base/x", "https://gw:8443/x"),
            ("http://up.internal.:8080/base/x", "https://gw:8443/x"),
            ("http://up.internal:8080/base/x?to=../y", "https://gw:8443/x?to=../y"),
            ("http://up.internal:8080/base/..x/.../y", "https://gw:8443/..x/.../y"),
            ("http://other.internal/x", "https://gw:8443/x"), ("http://other.internal:80", "https://gw:8443/"),
            ("http://other.internal:/x", "https://gw:8443/x"), ("http://[::1]:81/x", "https://gw:8443/x"),
            ("https://api.example.com/base/x", "https://gw:8443/x"),
            ("https://api.example.com:443/base/x", "https://gw:8443/x"),
        ])
    func mapped(value: String, place: String) {
        #expect(told(value, Self.settings, host: "gw:8443") == place)
    }

    @Test(
        "UpstreamLocations: a location on a host of the upstream that the gateway does not serve is removed",
        arguments: [
            "http://up.internal:8080/bases", "http://up.internal:8080.evil/base/x", "http://up.internal:8080/x",
            "http://up.internal:8080",
            "//UP.internal:8080/x", "\\\\up.internal:8080/x", "http:/\\up.internal/base",
            "http:up.internal/x", "http:/up.internal/x", "http:\\\\up.internal/x", "/\\up.internal/x",
            "///up.internal/x",
            "http:///up.internal/x", "ht\ttp://up.internal/x", "http:/\t/up.internal/x",
            "http://up.internal/base/x", "http://up.internal:9090/base/x", "http://up.internal:08080/base/x",
            "http://user@up.internal:9090/", "http://up.internal:8080/base/../admin",
            "http://up.internal:8080/base/a/%2E./..",
            "http://up.internal:8080\\@evil/base", "http://up.internal:8080/base/x\\..\\..", "http://[::1]/x",
            "http://[::1]:8/x",
            "http://other.internal:81/", "https://api.example.com:8443/base/x",
        ])
    func inside(value: String) {
        #expect(told(value, Self.settings, host: "gw:8443") == Self.inside)
    }

    @Test(
        "UpstreamLocations: everything else stays as it is",
        arguments: [
            "/base/x", "/x", "x", "../x", "?a", "#f", "", "base", "http:", "http:/", "//", "http://", "http:///x",
            "http://up.internal.evil:8080/base/x",
            "http://evil@example.com/base",
            "http://up.internal:8080@evil/base/x", "ftp://up.internal:8080/base/x", "https://elsewhere.example/x",
            "https://gw:8443/x", "mailto:a@up.internal",
        ])
    func elsewhere(value: String) {
        #expect(told(value, Self.settings, host: "gw:8443") == value)
    }

    @Test("UpstreamLocations: the gateway's own locations are not internal, also on a host of the upstream")
    func sameHost() {
        let settings = UpstreamSettings(endpoints: [UpstreamURL(isTLS: false, host: "localhost", port: 9000)])
        #expect(told("https://localhost:8443/x", settings, host: "LOCALHOST:8443") == "https://localhost:8443/x")
        #expect(told("https://localhost:8444/x", settings, host: "localhost:8443") == Self.inside)
        #expect(told("http://localhost:9000/x", settings, host: "localhost:8443") == "https://localhost:8443/x")
    }

    @Test("UpstreamLocations: without a known host of the gateway the location is a path")
    func paths() {
        let settings = UpstreamSettings(endpoints: [UpstreamURL(isTLS: false, host: "up", port: 8080)])
        #expect(told("http://up:8080/x", settings, host: "") == "/x")
        #expect(told("http://up:8080", settings, host: "") == "/")
        #expect(told("http://up:8080//evil.example/x", settings, host: "") == "/evil.example/x")
        #expect(told("http://up:8080/\\evil.example/x", settings, host: "") == "/evil.example/x")
    }

    @Test(
        "UpstreamLocations: each link of a list is mapped, and internal ones are removed",
        arguments: [
            ("<http://up:1/x?page=2>; rel=\"next\"", "<https://gw/x?page=2>; rel=\"next\""),
            ("</x>; rel=a, <http://up:1/y,z>; title=\"a, <b>\"", "</x>; rel=a, <https://gw/y,z>; title=\"a, <b>\""),
            ("<http://up:2/>; rel=a;title=\"x, \\\" <y>\", </z>; rel=b", " </z>; rel=b"),
            ("<http://up:2/>; rel=a", "(inside)"),
            ("<https://example.com/>, </a>;rel=b,", "<https://example.com/>, </a>;rel=b,"),
            ("<http://up:1/x", "(inside)"), ("http://up:1/x", "(inside)"), ("<http://other/x", "<http://other/x"),
            ("", ""),
            ("</x>; rel=a; anchor=\"http://UP:1/y\"", "(inside)"),
            ("</x>; rel=a; anchor=\"http://me@up/y\", </z>", " </z>"),
            ("</x>; title=\"what is up\"", "</x>; title=\"what is up\""),
        ])
    func links(value: String, place: String) {
        let settings = UpstreamSettings(endpoints: [UpstreamURL(isTLS: false, host: "up", port: 1)])
        #expect(told(value, in: .link, settings, host: "gw") == place)
    }

    @Test(
        "UpstreamLocations: the URL of a Refresh is mapped",
        arguments: [
            ("5; url=http://up:1/x", "5; url=https://gw/x"), ("0;URL='http://up:1/x?a=b'", "0;URL='https://gw/x?a=b'"),
            ("0; url = \"http://up:2/x\"", "(inside)"), ("5", "5"), ("5; url=", "5; url="), ("5; url=/x", "5; url=/x"),
        ])
    func refresh(value: String, place: String) {
        let settings = UpstreamSettings(endpoints: [UpstreamURL(isTLS: false, host: "up", port: 1)])
        #expect(told(value, in: .refresh, settings, host: "gw") == place)
    }
}
