"""The cost of proxying: the gateway, nginx, HAProxy and Envoy, each in front of the same nginx with fixed responses.

The proxy has CPU 0; the generator and the upstream share CPU 1. The gateway does its whole job (token, organization, scopes,
limits, trace); the others check the token and add the same header fields in both directions.
"""

import os
import socket
import time

import measuring
import rig
import servers

ALL = ["gateway", "gateway-log", "nginx", "nginx-limit", "haproxy", "envoy"]
BASE = servers.PATH.rsplit("/connections/", 1)[0]
CONNECTIONS = 1000

# kind -> (method, path, load's options); every proxy is measured for each kind, the rows of ONCE_ONLY for the first.
KINDS = {
    "get": ("GET", servers.PATH, []),
    "post": ("POST", BASE + "/connections", []),
    "length": ("GET", BASE + "/bodies/16384", []),
    "chunked": ("GET", BASE + "/bodies/chunked", []),
    "large": ("GET", BASE + "/bodies/1048576", ["--connections", 8]),
    "many": ("GET", servers.PATH, ["--connections", CONNECTIONS]),
}
ONLY_GET = ("gateway-log", "nginx-limit")
LARGE = 1 << 20
POST_BODY = b'{"name":"orders","source":{"type":"postgres","host":"db.internal"},"schedule":"every 15m"}'


class ProxyBench(servers.Bench):
    """A bench whose servers are proxies in front of one upstream."""

    peers = "peers/proxy"
    load_options = ["--yield"]  # without it the upstream, on the same CPU, waits for the generator's time slices to end

    def start_upstream(self):
        self.upstream_port = rig.free_port()
        for size in (16384, LARGE):
            self.write(f"bodies/{size}", (self.body * (size // len(self.body) + 1))[:size])
        os.makedirs(self.path("tmp"), exist_ok=True)
        text = self.template("upstream.conf", self.upstream_port, None, None)
        command = [servers.tool("nginx"), "-p", self.directory, "-e", "stderr", "-c", self.write("upstream.conf", text)]
        server = rig.Server("upstream", command, self.upstream_port, self.path("upstream.log"), cpu=rig.CLIENT_CPU)
        self.running.append(server)
        wait_for_listener(server)

    def prepare_requests(self):
        """One file for each kind of request."""
        self.request_files = {}
        for kind, (method, path, _) in KINDS.items():
            body = POST_BODY if method == "POST" else b""
            more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
            request = servers.request_head(method, path, self.token, more) + b"\r\n" + body
            self.request_files[kind] = self.write("request-" + kind, request)

    def options(self, kind):
        return [*KINDS[kind][2], "--request", self.request_files[kind]]

    def gateway_upstream(self):
        # As many idle connections as the peers keep: enough for 1,000 clients.
        return (f'upstream: {{ url: "http://127.0.0.1:{self.upstream_port}", '
                f'connections: {{ inFlight: 4096, idle: 1024 }} }},')

    def template(self, file, port, rate, burst):
        text = super().template(file, port, rate, burst)
        fields = "\n    ".join(
            'http-response set-header {} "{}"'.format(name, value.replace('"', '\\"').replace("%", "%%"))
            for name, value in self.headers)
        return text.replace("@FIELDS@", fields)


def wait_for_listener(server, timeout=5):
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection(("127.0.0.1", server.port), 1).close()
            return
        except OSError as error:
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise rig.BenchError(f"{server.name} does not serve: {error}\n{rig.read(server.log)[-2000:]}")
            time.sleep(0.01)


def prepare(bench):
    """Starts the upstream and finds the fields that the gateway adds to its response: the peers add the same."""
    bench.start_upstream()
    bench.make_token()
    bench.prepare_requests()
    first = bench.start("gateway")
    _, headers, body = first.ask(bench.request)
    bench.stop(first)
    bench.adopt_answer(headers, body)


def check(bench, running):
    """Checks that the proxies do the same work: the upstream's response for the right token, a refusal for another one."""
    wrong = bench.request.replace(f"Bearer {bench.token}".encode(), f"Bearer {bench.token[::-1]}".encode())
    for name, server in running.items():
        status, headers, body = server.ask(bench.request)
        found = {field.lower() for field, _ in headers}
        missing = [field for field, _ in bench.headers if field.lower() not in found]
        if status != 200 or body != bench.body or missing:
            raise rig.BenchError(f"{name} answers {status} {body!r}, without {missing}")
        if server.ask(wrong)[0] not in (401, 403):
            raise rig.BenchError(f"{name} lets an unknown token pass")


def measure_kind(bench, running, numbers, kind, rounds, seconds):
    for number in range(rounds):
        for name, server in running.items():
            if kind != "get" and name in ONLY_GET:
                continue
            result, cost = measuring.measured(bench, server, "--seconds", seconds, *bench.options(kind))
            numbers[kind, name].add(cost)
            numbers[kind + " rate", name].add(result["requests"] / result["seconds"])
            numbers[kind + " p50", name].add(result["p50"])
            numbers[kind + " p99", name].add(result["p99"])
        print(f"  {kind} {number + 1}: " + "  ".join(
            f"{name} {numbers[kind, name].values[-1]:.2f}" for name in running if numbers[kind, name].values), flush=True)


def measure_memory(bench, names, numbers):
    """A fresh proxy's memory with 1,000 connected clients, each of which has got responses."""
    for name in [name for name in names if name not in ONLY_GET]:
        server = bench.start(name)
        before = server.memory()
        generator = measuring.load(bench, server, "--seconds", 0.5, *bench.options("many"))
        measuring.only_good(generator.run(), server)
        time.sleep(0.5)
        after = server.memory()
        numbers["memory", name].add(after[0] / 1024)
        numbers["memory per connection", name].add((after[0] - before[0]) / CONNECTIONS)
        generator.finish()
        bench.stop(server)


def measure(bench, names, numbers, rounds, seconds):
    """All rows of the part."""
    names = [name for name in ALL if name in names]
    prepare(bench)
    running = {name: bench.start(name) for name in names}
    check(bench, running)
    print(f"proxied: {len(bench.headers)} fields added to the answer; CPU us per request:", flush=True)
    for kind in KINDS:
        measure_kind(bench, running, numbers, kind, rounds if kind == "get" else max(1, rounds // 2), seconds)
    for server in running.values():
        bench.stop(server)
    measure_memory(bench, names, numbers)
    measuring.budget(bench, names, numbers)


if __name__ == "__main__":
    raise SystemExit("run this by: Tests/Benchmarks/run --parts proxy")
