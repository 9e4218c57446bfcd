import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// A remote upstream that becomes another one while requests come.
    @Suite("Reloads of a remote upstream")
    struct RemoteReloadTests {
        @Test(
            "Upstream reload: a new URL takes effect under load, and no request fails",
            arguments: ["127.0.0.1", "localhost"])
        func newURL(host: String) async throws {
            let upstreams = [try RawUpstream(), try RawUpstream()]
            for upstream in upstreams { upstream.answer { _ in answer() } }
            defer { for upstream in upstreams { upstream.stopAnswering() } }
            var setup = GatewaySetup()
            setup.upstream = #"url: "http://\#(host):\#(upstreams[0].port)","#
            try await withGateway(setup) { gateway in
                let load = Load(gateway.address)
                defer { load.stop() }
                try load.waitForMore()
                for index in [1, 0, 1] {
                    try gateway.folder.write(
                        #"{ gateway: { upstream: { url: "http://\#(host):\#(upstreams[index].port)" } } }"#,
                        to: "policies/gateway.json5")
                    let before = upstreams[index].answered.count
                    await gateway.reload()
                    try load.waitForMore()
                    try waitUntil("requests go to the new one") { upstreams[index].answered.count > before }
                }
                load.stop()
                #expect(load.failures == [])
            }
        }

        @Test("Upstream reload: a request in progress when the upstream changes gets its response")
        func underWay() async throws {
            let upstreams = [try RawUpstream(), try RawUpstream()]
            var setup = GatewaySetup()
            setup.workers = 1
            setup.upstream = upstreams[0].settings()
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                try client.send(request("GET", Path.state))
                let old = try upstreams[0].acceptRequest().peer
                try gateway.folder.write(
                    "{ gateway: { upstream: { \(upstreams[1].settings()) } } }", to: "policies/gateway.json5")
                await gateway.reload()
                let other = try TLSClient(gateway)
                try other.send(request("GET", Path.state))
                try upstreams[1].acceptRequest().peer.send(answer(body: "new"))
                #expect(try other.answer().text == "new")
                try old.send(answer(body: "old"))
                #expect(try client.answer().text == "old")
                // Nobody uses the old one any more.
                try old.expectClose()
            }
        }

        @Test(
            "Upstream reload: no log line shows the old secret, in a response that comes after the new one took effect")
        func oldSecret() async throws {
            try await withTestFolder { folder in
                let upstream = try RawUpstream()
                var setup = GatewaySetup()
                setup.workers = 1
                setup.upstream = upstream.settings(
                    #"credential: { header: "Authorization", secretFile: "secrets/key" },"#)
                try folder.write("Bearer old-secret", to: "policies/secrets/key")
                let gateway = try await TestGateway.start(setup, in: folder)
                let outcome: Result<Void, any Error>
                do {
                    for status in [500, 401] {
                        let client = try TLSClient(gateway)
                        try client.send(request("GET", Path.state))
                        let peer = try upstream.acceptRequest().peer
                        try folder.write("Bearer new-secret-\(status)", to: "policies/secrets/key")
                        await gateway.reload()
                        try peer.send(answer(status, body: #"{"detail":"I got Bearer old-secret, or old-secret"}"#))
                        #expect(try client.answer().status >= 500)
                        try folder.write("Bearer old-secret", to: "policies/secrets/key")
                        await gateway.reload()
                    }
                    try waitUntil("both lines are there") {
                        gateway.log.components(separatedBy: "I got ***, or ***").count == 3
                    }
                    #expect(!gateway.log.contains("old-secret"))
                    outcome = .success(())
                } catch { outcome = .failure(error) }
                await gateway.stop()
                try outcome.get()
            }
        }

        @Test("Upstream reload: a secret whose file has changed is sent from then on")
        func newSecret() async throws {
            try await withTestFolder { folder in
                let upstream = try RawUpstream()
                upstream.answer { _ in answer() }
                defer { upstream.stopAnswering() }
                var setup = GatewaySetup()
                setup.upstream = upstream.settings(
                    #"credential: { header: "Authorization", secretFile: "secrets/key" },"#)
                try folder.write("Bearer one", to: "policies/secrets/key")
                let gateway = try await TestGateway.start(setup, in: folder)
                let outcome: Result<Void, any Error>
                do {
                    let client = try TLSClient(gateway)
                    #expect(try client.call("GET", Path.state).status == 200)
                    try folder.write("Bearer two", to: "policies/secrets/key")
                    await gateway.reload()
                    #expect(try client.call("GET", Path.state).status == 200)
                    #expect(upstream.answered.map { $0.values("authorization") } == [["Bearer one"], ["Bearer two"]])
                    outcome = .success(())
                } catch { outcome = .failure(error) }
                await gateway.stop()
                try outcome.get()
            }
        }
    }
}
