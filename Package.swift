// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    // The compiler proves most accesses exclusive. Debug builds, and so all tests, check the others at run time. In
    // release these checks of class properties would cost a request 3 to 4 % (Tests/Benchmarks).
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
    .unsafeFlags(["-static-stdlib"], .when(configuration: .release)),
]

/// A target of the package. It may import only its `dependencies`: `Tests/Scripts/lint` compares the two.
func module(
    _ name: String, _ dependencies: [Target.Dependency] = [], experimental: [String] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies,
        swiftSettings: settings + experimental.map { .enableExperimentalFeature($0) })
}

func tests(of name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.target(name: name)] + dependencies, resources: resources,
        swiftSettings: settings)
}

let package = Package(
    name: "connector-gateway",
    products: [.executable(name: "gateway", targets: ["GatewayCommand"])],
    targets: [
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CLinux"),
        module("Bytes"),
        module("JSON", ["Bytes"]),
        // `Lifetimes`: the head reader is a struct with a span of the bytes that it reads.
        module("HTTP", ["Bytes"], experimental: ["Lifetimes"]),
        module("Crypto", ["Bytes", "COpenSSL"]),
        // A connection lends the bytes of its head.
        module("Transport", ["Bytes", "HTTP", "Crypto", "CLinux"], experimental: ["Lifetimes"]),
        module("Policy", ["Bytes", "JSON"]),
        module("Journal", ["Bytes", "Transport"]),
        module("Gateway", ["Bytes", "Journal", "Policy", "HTTP", "Transport", "Crypto", "JSON"]),
        module("Connectors", ["Bytes", "Journal", "HTTP", "JSON"]),
        module("ConnectorServer", ["Bytes", "Connectors", "Gateway", "HTTP", "Transport"]),
        .executableTarget(
            name: "GatewayCommand",
            dependencies: [
                "Bytes", "JSON", "HTTP", "Crypto", "Transport", "Journal", "Policy", "Gateway", "Connectors",
                "ConnectorServer",
            ],
            swiftSettings: settings,
            // One file to deploy, and runtime calls without a jump table: 4 to 8 % of a request.
            linkerSettings: [.unsafeFlags(["-static-stdlib", "-use-ld=lld"], .when(configuration: .release))]),
        // Used by several test targets: certificates, programs, sockets, random sequences, a disk that fails.
        .target(
            name: "TestSupport", dependencies: ["Crypto", "Journal", "Transport"], path: "Tests/TestSupport",
            swiftSettings: settings),
        tests(of: "Bytes"),
        tests(of: "JSON"),
        tests(of: "HTTP", ["Bytes"]),
        tests(of: "Crypto", ["COpenSSL", "TestSupport"]),
        tests(of: "Transport", ["Bytes", "HTTP", "Crypto", "TestSupport"]),
        tests(of: "Policy", ["JSON"], resources: [.copy("Golden")]),
        tests(of: "Journal", ["Transport", "TestSupport"]),
        tests(of: "Gateway", ["Bytes", "Journal", "Policy", "HTTP", "JSON", "Crypto", "Transport", "TestSupport"]),
        tests(of: "Connectors", ["Journal", "JSON", "HTTP", "TestSupport", "Transport"]),
        // The whole gateway in the test's process, with real sockets; `COpenSSL` for a client that sends any bytes.
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "GatewayCommand", "Gateway", "Connectors", "ConnectorServer", "Journal", "Policy", "Transport",
                "Crypto",
                "JSON", "COpenSSL", "TestSupport",
            ],
            swiftSettings: settings),
    ]
)
