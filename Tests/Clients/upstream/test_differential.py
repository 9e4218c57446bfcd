"""The same requests to an upstream directly and through the gateway: status, body and end-to-end fields are the same."""

import hashlib
import json
import re
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import pytest
import requests
from airweave import AirweaveSDK
from aitronos import Aitronos
from aitronos.core.api_error import ApiError

import upstreams
from faulty import Upstream
from gateway import BASE, CONNECTION, ORGANIZATION, SOURCE_CONNECTION, environment, wait_for
from metrics import resident
from proxied import THING, behind
from shapes import pattern
from wire import Wire

pytestmark = pytest.mark.upstream
# Hop-by-hop fields, and those that the gateway adds.
NOT_COMPARED = re.compile(
    r"(connection|keep-alive|proxy-connection|upgrade|transfer-encoding|date|via|x-trace-id|x-policy-version"
    r"|(x-)?ratelimit(-.*)?)\Z")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("differential")
    upstreams.write_files(folder / "files")
    return folder


@pytest.fixture(scope="module")
def pairs(folder):
    """Each upstream, and a gateway in front of it, started at first use."""
    made = {}
    kinds = {"faulty": lambda _: Upstream(), "nginx": upstreams.nginx, "python": upstreams.python_server,
             "fastapi": upstreams.fastapi}

    def pair(name):
        if name not in made:
            upstream = kinds[name](folder)
            made[name] = upstream, None
            idle = {"connect": "5s", "responseHead": "20s", "bodyProgress": "10s", "queue": "5s", "idle": "3s"}
            made[name] = upstream, behind(folder / name, upstream, timeouts=idle)
        return made[name]

    yield pair
    for upstream, gateway in made.values():
        if gateway:
            gateway.kill()
        upstream.stop()


def compared(fields):
    """The fields that must be the same, with lower-case names; without those that Connection nominates."""
    fields = [(name.lower(), value) for name, value in fields]
    hop = {one.strip().lower() for name, value in fields if name == "connection" for one in value.split(",")}
    return sorted((name, value) for name, value in fields if name not in hop and not NOT_COMPARED.match(name))


def message(port, gateway, method, path, fields, body, chunked):
    lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{port}", f"Authorization: Bearer {gateway.token}", *fields]
    if body is not None:
        lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}")
    data = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    if body is None:
        return data
    if not chunked:
        return data + body
    step = 10_000
    pieces = [body[at:at + step] for at in range(0, len(body), step)]
    return data + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def both(pair, method, path, *fields, body=None, chunked=False):
    """The responses to the same raw bytes: direct, and through the gateway."""
    upstream, gateway = pair
    answers = []
    for wire in (Wire(upstream.port, tls=False, deadline=30), gateway.wire(deadline=30)):
        with wire:
            port = upstream.port if not answers else gateway.port
            wire.send(message(port, gateway, method, path, fields, body, chunked))
            answers.append(wire.final(head=method == "HEAD"))
    return answers


def same(pair, *arguments, **options):
    direct, through = both(pair, *arguments, **options)
    assert direct.status < 400, direct
    assert through.status == direct.status, through
    assert through.body == direct.body
    assert compared(through.fields) == compared(direct.fields)
    assert through["date"] or direct["date"] is None
    return through


SIZES = (0, 1, 16_383, 16_384, 16_385, 65_536, 1 << 20)
SHAPES = [
    *(f"sized&size={size}" for size in SIZES), *(f"chunked&size={size}" for size in SIZES),
    "chunked&size=40&chunk=1", "chunked&size=100000&chunk=16384", "chunked&size=100000&chunk=16379",
    *(f"compressed&size={size}" for size in (0, 1000, 1 << 20)), "partial", "fields", "well",
    *(f"status&status={status}" for status in (200, 201, 202, 204, 299, 300, 301, 302, 303, 304, 307, 308)),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(pairs, shape):
    for method in ("GET", "HEAD", "POST"):
        answer = same(pairs("faulty"), method, f"{THING}?fault={shape}", body=b"x" if method == "POST" else None)
        if "size=" in shape and "compressed" not in shape and method != "HEAD":
            assert answer.body == pattern(int(re.search(r"size=(\d+)", shape)[1]))


def test_ranges_and_conditions(pairs):
    assert same(pairs("faulty"), "GET", f"{THING}?fault=partial", "Range: bytes=10-19").body == pattern(1000)[10:20]
    for name in ("nginx", "python"):
        file = f"{BASE}/16384.bin"
        etag = same(pairs(name), "GET", file)["last-modified"]
        assert same(pairs(name), "GET", file, f"If-Modified-Since: {etag}").status == 304
    nginx = pairs("nginx")
    for value in ("bytes=0-0", "bytes=-5", "bytes=16000-", "bytes=0-1,5-6"):
        direct, through = both(nginx, "GET", f"{BASE}/16384.bin", f"Range: {value}")
        assert through.status == direct.status == 206
        if "," not in value:  # the boundary differs each time
            assert through.body == direct.body and compared(through.fields) == compared(direct.fields)
    etag = same(nginx, "GET", f"{BASE}/100.bin")["etag"]
    assert same(nginx, "GET", f"{BASE}/100.bin", f"If-None-Match: {etag}").status == 304


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 16_385, 1 << 20, 10 << 20])
def test_uploads(pairs, size, chunked):
    body = pattern(size)
    answer = same(pairs("faulty"), "PUT", f"{THING}?fault=mirror", "Content-Type: x/y", body=body, chunked=chunked)
    assert answer.body == body
    answer = same(pairs("fastapi"), "PUT", f"{BASE}/upload", body=body, chunked=chunked)
    assert answer.json == {"length": size, "sha256": hashlib.sha256(body).hexdigest()}


def test_expect(pairs):
    upstream, gateway = pairs("fastapi")
    for wire, port in ((Wire(upstream.port, tls=False), upstream.port), (gateway.wire(), gateway.port)):
        with wire:
            data = message(port, gateway, "PUT", f"{BASE}/upload", ["Expect: 100-continue"], b"hello", False)
            wire.send(data[:-5])
            assert wire.read().status == 100
            wire.send(b"hello")
            assert wire.final().json["length"] == 5


@pytest.mark.parametrize("query", [
    "a=%7C%2B%2F", "order_by=createdAt%7CDESC", "created_at_start=2024-01-01T00%3A00%3A00%2B02%3A00", "a=+&b=%20&c"])
def test_queries(pairs, query):
    assert same(pairs("faulty"), "GET", f"{THING}?{query}").json["target"] == f"{THING}?{query}"
    same(pairs("nginx"), "GET", f"{BASE}/said/x?{query}", "X-Thing: a  b")
    same(pairs("fastapi"), "GET", f"{BASE}/things?{query}")


def test_pipelining(pairs):
    upstream, gateway = pairs("faulty")
    shapes = SHAPES * 2
    results = []
    for wire, port in ((Wire(upstream.port, tls=False, deadline=30), upstream.port), (gateway.wire(deadline=30), gateway.port)):
        with wire:
            wire.send(b"".join(message(port, gateway, "GET", f"{THING}?fault={shape}&n={index}", [f"X-Id: {index}"], None, False)
                               for index, shape in enumerate(shapes)))
            answers = [wire.final() for _ in shapes]
        results.append([(answer.status, answer.body, compared(answer.fields)) for answer in answers])
    assert results[0] == results[1]


@pytest.mark.parametrize("name", ["nginx", "python"])
def test_files(pairs, name):
    for size in upstreams.SIZES:
        for method in ("GET", "HEAD"):
            same(pairs(name), method, f"{BASE}/{size}.bin")
    assert same(pairs(name), "GET", f"{BASE}/folder/").body == b"<p>hello</p>"


def test_nginx(pairs):
    nginx = pairs("nginx")
    packed = same(nginx, "GET", f"{BASE}/text.txt", "Accept-Encoding: gzip")
    assert packed["content-encoding"] == "gzip" and packed["transfer-encoding"] == "chunked"
    assert same(nginx, "GET", f"{BASE}/moved")["location"] and same(nginx, "GET", f"{BASE}/nothing").status == 204


def test_fastapi(pairs):
    application = pairs("fastapi")
    assert len(same(application, "GET", f"{BASE}/stream").body) == 299 * 150
    assert same(application, "GET", f"{BASE}/things", "Accept-Encoding: gzip")["content-encoding"] == "gzip"
    assert same(application, "POST", f"{BASE}/things", "Content-Type: application/json", body=b'{"name": "a"}').status == 201
    assert same(application, "DELETE", f"{BASE}/things/a").status == 204
    assert same(application, "GET", f"{BASE}/moved").status == 307
    for path, status, method, body in (("/fails/404", 404, "GET", None), ("/fails/503", 503, "GET", None),
                                       ("/nowhere", 404, "GET", None), ("/things", 422, "POST", b'{"size": "x"}')):
        direct, through = both(application, method, BASE + path, "Content-Type: application/json", body=body)
        assert direct.status == through.status == status
        assert through["retry-after"] == direct["retry-after"]
        detail = direct.json["detail"]
        message = detail if isinstance(detail, str) else f"body.{detail[0]['loc'][1]}: {detail[0]['msg']}"
        if status >= 500:
            message = "The service is temporarily unavailable."  # the upstream's own text stays internal
        assert through.json["error"]["message"] == message


def places(pair):
    upstream, gateway = pair
    return ((upstream.url, []), (gateway.url, ["--cacert", str(gateway.ca)]))


@pytest.mark.parametrize("name, arguments", [
    ("faulty", [THING]), ("faulty", ["-I", THING]), ("faulty", ["-d", '{"a": 1}', THING]), ("faulty", ["-X", "POST", THING]),
    ("faulty", ["-X", "DELETE", THING]), ("faulty", ["--data-binary", "@LARGE", THING]),
    ("nginx", ["-r", "5-9", f"{BASE}/100.bin"]),
    ("faulty", ["-T", "LARGE", f"{THING}?fault=mirror"]), ("nginx", ["--compressed", f"{BASE}/text.txt"]),
    ("faulty", ["-T", "LARGE", "-H", "Transfer-Encoding: chunked", f"{THING}?fault=mirror"]),
    ("fastapi", ["-T", "LARGE", "-H", "Expect: 100-continue", f"{BASE}/upload"]), ("nginx", [f"{BASE}/moved"]),
    ("faulty", ["--http1.0", f"{THING}?fault=sized&size=70000"]), ("python", [f"{BASE}/1048576.bin"])])
def test_curl(pairs, folder, name, arguments):
    large = folder / "large"
    large.write_bytes(pattern(3 << 20))
    results = []
    for url, trust in places(pairs(name)):
        said = [str(large).join(one.split("LARGE")) if not one.startswith("/") else url + one for one in arguments]
        token = pairs(name)[1].token
        done = subprocess.run(
            ["curl", "-sS", "-m", "30", *trust, "-H", f"Authorization: Bearer {token}", "-D", folder / "curl.head",
             "-o", folder / "curl.body", "-w", "%{http_code} %{size_upload} %{num_redirects}", *said],
            capture_output=True, text=True, env=environment())
        assert done.returncode == 0, done.stderr
        lines = (folder / "curl.head").read_bytes().decode("latin-1").split("\r\n\r\n")[-2].split("\r\n")[1:]
        fields = [line.partition(": ")[::2] for line in lines]
        body = b"" if "-I" in arguments else (folder / "curl.body").read_bytes()
        results.append((done.stdout, body, compared(fields)))
    assert results[0] == results[1]


def test_requests(pairs):
    def play(url, verify, token):
        with requests.Session() as session:
            session.trust_env = False
            session.verify, session.headers["Authorization"] = verify, f"Bearer {token}"
            answers = [
                session.get(f"{url}{THING}", params={"order_by": "createdAt|DESC", "a": "b c"}),
                session.post(f"{url}{THING}", json={"a": 1}), session.head(f"{url}{THING}"),
                session.put(f"{url}{THING}?fault=mirror", data=(pattern(10_000) for _ in range(50))),
                session.get(f"{url}{THING}?fault=compressed&size=100000"), session.delete(f"{url}{THING}"),
                session.get(f"{url}{THING}?fault=status&status=302", allow_redirects=False),
                session.get(f"{url}{THING}?fault=chunked&size=200000")]
            return [(answer.status_code, answer.content, compared(answer.headers.items())) for answer in answers]

    (direct, _), (through, _) = places(pairs("faulty"))
    gateway = pairs("faulty")[1]
    assert play(direct, True, gateway.token) == play(through, str(gateway.ca), gateway.token)


def test_fetch(pairs):
    results = []
    gateway = pairs("faulty")[1]
    for url, _ in places(pairs("faulty")):
        wanted = [{"method": "GET"}, {"method": "POST", "size": 0}, {"method": "POST", "size": 100_000}, {"method": "DELETE"},
                  {"method": "PUT", "size": 3 << 20, "chunked": True, "query": "mirror"}, {"method": "HEAD"},
                  *({"method": "GET", "query": shape} for shape in SHAPES if "status=304" not in shape)]
        for one in wanted:
            one["url"] = url + THING + ("?fault=" + one.pop("query") if "query" in one else "")
            one["headers"] = {"Authorization": f"Bearer {gateway.token}"}
        done = subprocess.run(["node", Path(__file__).with_name("fetches.mjs")], input=json.dumps(wanted), capture_output=True,
                              text=True, timeout=60, env=environment(NODE_EXTRA_CA_CERTS=str(gateway.ca)))
        assert done.returncode == 0, done.stderr
        results.append([(one["status"], one["length"], one["sha256"], compared(one["fields"])) for one in json.loads(done.stdout)])
    assert results[0] == results[1]


def test_sdks(pairs):
    """For both SDKs, responses through the gateway are the same as those of the service."""
    def play(url, gateway):
        client = httpx.Client(verify=ssl.create_default_context(cafile=gateway.ca), timeout=30)
        connectors = Aitronos(base_url=url, api_key=gateway.token, httpx_client=client).knowledge_connectors
        source = AirweaveSDK(base_url=f"{url}/v1", api_key=gateway.token, httpx_client=client).source_connections
        yield connectors.get_state(ORGANIZATION, CONNECTION)
        yield connectors.list_jobs(ORGANIZATION, limit=5, order_by="createdAt|DESC",
                                   created_at_start="2024-01-01T00:00:00+02:00")
        yield connectors.get_job(ORGANIZATION, "job_1")
        yield connectors.trigger_job(ORGANIZATION, connection_id="conn_sdk", job_type="sync")
        yield connectors.cancel_job(ORGANIZATION, "job_1")
        yield source.run(SOURCE_CONNECTION)
        yield source.get_source_connection_jobs(SOURCE_CONNECTION)
        try:
            connectors.get_state(ORGANIZATION, CONNECTION, request_options={
                "max_retries": 0, "additional_headers": {"X-Fault": "error-envelope"}})
        except ApiError as error:
            yield error.status_code, error.body["error"]["code"], error.body["error"]["message"]

    upstream, gateway = pairs("faulty")
    direct, through = list(play(upstream.url, gateway)), list(play(gateway.url, gateway))
    assert len(direct) == 8 and through == direct


def test_a_slow_reader_of_a_large_answer(pairs):
    """256 MiB for a client that does not read: this costs no memory, and no deadline of the upstream passes."""
    upstream, gateway = pairs("faulty")
    size = 256 << 20
    with gateway.wire(deadline=120) as wire:
        before = resident(gateway)
        wire.send(message(gateway.port, gateway, "GET", f"{THING}?fault=streamed&size={size}", ["X-Id: slow"], None, False))
        assert int(wire.read(head=True)["content-length"]) == size
        most = 0
        for target in (1 << 20, 64 << 20, size):
            wait_for(lambda: is_stuck(gateway), "nothing moves while the client does not read")
            most = max(most, resident(gateway) - before)
            while target > read_so_far(wire):
                take(wire)
            most = max(most, resident(gateway) - before)
        assert read_so_far(wire) == size and wire.digest.hexdigest() == expected_digest(size)
        assert most < 16, f"{most:.1f} MiB for one slow client"


def is_stuck(gateway, seen={}):
    """Whether the gateway has not written for half a second."""
    sent = int(re.search(r"gateway_sent_bytes_total\S* (\d+)", gateway.admin("/metrics")[1])[1])
    if seen.get("sent") != sent:
        seen.update(sent=sent, since=time.monotonic())
    return time.monotonic() - seen["since"] > 0.5


def read_so_far(wire):
    return getattr(wire, "count", 0)


def take(wire):
    if not hasattr(wire, "digest"):
        wire.digest = hashlib.sha256()
    data, wire.buffer = wire.buffer or wire.socket.recv(1 << 18), b""
    assert data, "the response ended early"
    wire.digest.update(data)
    wire.count = read_so_far(wire) + len(data)


def expected_digest(size):
    digest, block = hashlib.sha256(), pattern(251 * 4096)
    for at in range(0, size, len(block)):
        digest.update(block[:size - at])
    return digest.hexdigest()
