"""Good responses: the connector API in its smallest form, and bodies of every size and framing (`?fault=NAME&size=N`)."""

import gzip
import hashlib
import json
import re

from faulty import answer, chunk, fault, head, number

PATTERN = bytes(range(251)) * 261  # 65,511 bytes; 251 is prime, so no power of two hides a shift


def pattern(size, start=0):
    """`size` bytes of a stream in which each position differs from its neighbours."""
    start %= 251
    return (PATTERN[start:start + 251] * (size // 251 + 1))[:size]


def job(connection, identity="job_faulty"):
    return {"job_id": identity, "status": "succeeded", "job_type": "sync", "connection_id": connection,
            "start_time": "2024-01-01T00:00:00Z", "bytes_synced": 3_000_000_000, "rows_synced": 1, "duration": "PT1S"}


def run(connection, identity="00000000-0000-4000-8000-000000000001"):
    return {"id": identity, "source_connection_id": connection, "status": "completed",
            "started_at": "2024-01-01T00:00:00Z", "completed_at": "2024-01-01T00:00:01Z", "duration_seconds": 1,
            "entities_inserted": 1, "entities_updated": 0, "entities_deleted": 0, "entities_failed": 0, "error": None}


def document(request):
    """A response of the connector API."""
    path = request.target.split("?")[0].rstrip("/")
    if match := re.search(r"/connections/([^/]+)/state\Z", path):
        return {"state": {"users": {"cursor": "2024"}}, "state_type": "stream"}
    if match := re.search(r"/connections/([^/]+)/(refresh|clear)\Z", path):
        return {"status": "refreshing" if match[2] == "refresh" else "clearing"}
    if re.search(r"/connectors/jobs\Z", path):
        if request.method == "POST":
            body = json.loads(request.body)
            return job(body.get("connection_id") or body.get("connectionId"))
        return {"data": [], "total": 0}
    if match := re.search(r"/connectors/jobs/([^/]+)", path):
        return job("conn_abc123", match[1])
    if match := re.search(r"/source-connections/([^/]+)/run\Z", path):
        return run(match[1])
    if match := re.search(r"/source-connections/([^/]+)/jobs\Z", path):
        return []
    return {"id": request.id, "method": request.method, "target": request.target, "length": len(request.body),
            "sha256": hashlib.sha256(request.body).hexdigest()}


@fault
def well(link, request):
    """The connector API; for other paths, the received request in short."""
    if request.method == "DELETE":
        link.send(head(request, "204 No Content", content_type=None))
    else:
        answer(link, request, json.dumps(document(request)).encode())


@fault
def sized(link, request):
    """`size` bytes with their length."""
    answer(link, request, pattern(number(request, "size")), content_type="application/octet-stream")


@fault
def chunked(link, request):
    """`size` bytes in chunks of `chunk` bytes."""
    size, step = number(request, "size"), number(request, "chunk", 4096)
    link.send(head(request, "200 OK", "Transfer-Encoding: chunked", content_type="application/octet-stream"))
    if request.method != "HEAD":
        for at in range(0, size, step):
            link.send(chunk(pattern(min(step, size - at), at)))
        link.send(b"0\r\n\r\n")


@fault
def streamed(link, request):
    """`size` bytes with their length, written as fast as they are taken, for sizes beyond memory."""
    size, at, step = number(request, "size"), 0, 251 * 1024
    link.send(head(request, "200 OK", f"Content-Length: {size}", content_type="application/octet-stream"))
    while at < size:
        link.send(pattern(min(step, size - at), at))
        at += step


@fault
def compressed(link, request):
    """`size` bytes in gzip."""
    answer(link, request, gzip.compress(pattern(number(request, "size", 1000)), mtime=0), "200 OK",
           "Content-Encoding: gzip", "Vary: Accept-Encoding", content_type="application/octet-stream")


@fault
def status(link, request):
    """The success or redirect `status` without a body."""
    code = number(request, "status", 204)
    length = [] if code == 204 else ['ETag: "1"'] if code == 304 else ["Content-Length: 0"]
    place = ["Location: /elsewhere?a=%7C%2B"] if code in (201, 301, 302, 303, 307, 308) else []
    link.send(head(request, f"{code} Named", *length, *place, content_type=None))


@fault
def partial(link, request):
    """A range of a thousand bytes, as `Range` asks for it."""
    match = re.match(r"bytes=(\d+)-(\d+)\Z", request["range"] or "")
    if not match:
        return answer(link, request, pattern(1000), "200 OK", "Accept-Ranges: bytes")
    first, last = int(match[1]), int(match[2])
    answer(link, request, pattern(1000)[first:last + 1], "206 Partial Content", f"Content-Range: bytes {first}-{last}/1000")


@fault
def fields(link, request):
    """Response fields of many kinds: some for one hop, some twice, some odd."""
    answer(link, request, b"{}", "200 OK", "Set-Cookie: a=1", "Set-Cookie: b=2", "X-Empty:", "X-Latin: caf\xe9",
           "ETag: W/\"x\"", "Cache-Control: no-store", "X-Request-Id: up-1", "Server: up", "Connection: X-Private, X-Gone",
           "X-Private: 1", "X-Gone: 1", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Upgrade: h2c",
           "Vary: Accept", "Vary: Origin", "Link: <a>; rel=next", "Retry-After: 3", "Age: 4")


@fault
def received(link, request):
    """The fields that were received, in order."""
    answer(link, request, json.dumps({"line": [request.method, request.target, request.version],
                                      "fields": request.fields}).encode())


@fault
def mirror(link, request):
    """The body that was received."""
    answer(link, request, request.body, content_type=request["content-type"])
