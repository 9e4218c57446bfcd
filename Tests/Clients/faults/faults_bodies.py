"""Error responses of the upstream in every shape that is common, and some that are not."""

import gzip
import json
import time

from faulty import answer, chunk, fault, head

ENVELOPE = {
    "success": False,
    "error": {
        "code": "CONNECTOR_JOB_NOT_FOUND", "message": "The requested job was not found.", "type": "client_error",
        "status": 404, "details": {"job_id": "job_1"}, "trace_id": "0" * 31 + "1", "timestamp": "2024-01-01T00:00:00Z",
    },
}
DETAIL = b'{"detail": "The thing is not there."}'
PROBLEM = {"type": "https://example.com/probs/credit", "title": "Not enough credit.", "status": 403, "balance": 30}
VALIDATION = {"detail": [{"loc": ["body", "streams"], "msg": "field required", "type": "value_error.missing"}]}
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>nginx</h1></body></html>"
HUGE = json.dumps({"detail": "x" * (1 << 20)}).encode()


def register(**cases):
    """Whole error responses: status line, body, content type, more fields."""
    for name, (what, status, body, content_type, *fields) in cases.items():
        data = body if isinstance(body, bytes) else json.dumps(body).encode()

        def play(link, request, status=status, data=data, content_type=content_type, fields=fields):
            answer(link, request, data, status, *fields, content_type=content_type)

        play.__name__, play.__doc__ = name, what
        fault(play)


JSON = "application/json"
register(
    error_envelope=("The documented envelope.", "404 Not Found", ENVELOPE, JSON),
    error_detail_text=("FastAPI's detail as text.", "404 Not Found", DETAIL, JSON),
    error_detail_list=("FastAPI's detail as a list.", "422 Unprocessable Content", VALIDATION, JSON),
    error_detail_object=(
        "FastAPI's detail as an object.", "409 Conflict",
        {"detail": {"code": "THING_BUSY", "message": "The thing is busy.", "thing": "a"}}, JSON),
    error_problem=("Problem details.", "403 Forbidden", PROBLEM, "application/problem+json"),
    error_html=("A page for people.", "502 Bad Gateway", HTML, "text/html"),
    error_plain_text=("Plain text.", "500 Internal Server Error", b"Internal Server Error", "text/plain"),
    error_empty=("Nothing.", "500 Internal Server Error", b"", None),
    error_html_called_json=("A page that calls itself JSON.", "503 Service Unavailable", HTML, JSON),
    error_json_called_html=("JSON that calls itself a page.", "404 Not Found", DETAIL, "text/html"),
    error_cut_json=("JSON that ends early, in good framing.", "404 Not Found", DETAIL[:-8], JSON),
    error_json_list=("A JSON list.", "400 Bad Request", b'["no"]', JSON),
    error_not_utf_8=("Bytes that are no text.", "400 Bad Request", b'{"detail": "\xff\xfe"}', JSON),
    error_with_a_nul=("A NUL in a text.", "400 Bad Request", b'{"detail": "a\\u0000b"}', JSON),
    error_twice_named=("A name twice in one object.", "400 Bad Request", b'{"detail": "a", "detail": "b"}', JSON),
    error_deep=("Lists ten thousand deep.", "400 Bad Request", b"[" * 10_000 + b"]" * 10_000, JSON),
    error_oversized=("A mebibyte.", "500 Internal Server Error", HUGE, JSON),
    error_gzip=("Compressed.", "404 Not Found", gzip.compress(DETAIL), JSON, "Content-Encoding: gzip"),
    error_gzip_damaged=("Called compressed, and is not.", "404 Not Found", DETAIL, JSON, "Content-Encoding: gzip"),
    error_code_injected=(
        "A code and message that try to break out.", "400 Bad Request",
        {"error": {"code": 'X"}, "a": {"', "message": 'a"\r\nX-Leak: split', "details": {}}}, JSON),
    error_401=("A refused credential.", "401 Unauthorized", DETAIL, JSON, 'WWW-Authenticate: Bearer realm="up"'),
    error_407=("Proxy authentication, which is not the client's affair.", "407 Proxy Authentication Required", DETAIL,
               JSON, "Proxy-Authenticate: Basic realm=up"),
    error_418=("A status without an entry in the catalogue.", "418 I'm a teapot", DETAIL, JSON),
    error_429=("A limit, and when to come back.", "429 Too Many Requests", DETAIL, JSON, "Retry-After: 7"),
    error_500=("A failure with a reason.", "500 Internal Server Error", DETAIL, JSON),
    error_502=("A failure behind the upstream.", "502 Bad Gateway", DETAIL, JSON),
    error_503=("Maintenance, and when it is over.", "503 Service Unavailable", DETAIL, JSON, "Retry-After: 9"),
    error_504=("A timeout behind the upstream.", "504 Gateway Timeout", DETAIL, JSON),
    error_599=("The highest status there is.", "599 Odd", DETAIL, JSON),
)


@fault
def error_chunked(link, request):
    """An error in chunks."""
    link.send(head(request, "404 Not Found", "Transfer-Encoding: chunked") + chunk(DETAIL[:10]) + chunk(DETAIL[10:])
              + b"0\r\n\r\n")


@fault
def error_without_length(link, request):
    """An error that ends with the connection."""
    link.send(head(request, "404 Not Found") + DETAIL)
    link.close()


@fault
def error_truncated(link, request):
    """An error whose connection ends before its body does."""
    link.send(head(request, "404 Not Found", f"Content-Length: {len(DETAIL)}") + DETAIL[:20])
    link.close()


@fault
def error_reset(link, request):
    """An error whose connection is reset within its body."""
    link.send(head(request, "409 Conflict", f"Content-Length: {len(DETAIL)}") + DETAIL[:20])
    time.sleep(0.02)  # a reset may destroy unread bytes
    link.reset()


@fault
def error_hang(link, request):
    """An error whose body stops halfway."""
    link.send(head(request, "404 Not Found", f"Content-Length: {len(DETAIL)}") + DETAIL[:20])
    link.hang()


@fault
def error_bad_chunk(link, request):
    """An error whose chunks are damaged."""
    link.send(head(request, "404 Not Found", "Transfer-Encoding: chunked") + b"zz\r\n" + DETAIL)
    link.linger()


@fault
def error_oversized_chunked(link, request):
    """An error of one mebibyte in chunks."""
    link.send(head(request, "500 Internal Server Error", "Transfer-Encoding: chunked"))
    for at in range(0, len(HUGE), 1 << 14):
        link.send(chunk(HUGE[at:at + (1 << 14)]))
    link.send(b"0\r\n\r\n")


@fault
def error_endless(link, request):
    """An endless error: the gateway must end the connection."""
    link.send(head(request, "500 Internal Server Error", "Transfer-Encoding: chunked"))
    while True:
        link.send(chunk(b"x" * (1 << 14)))


@fault
def error_longer_than_its_length(link, request):
    """An error followed by a second response."""
    link.send(head(request, "404 Not Found", f"Content-Length: {len(DETAIL)}") + DETAIL
              + b"HTTP/1.1 200 OK\r\nX-Leak: surplus\r\nContent-Length: 4\r\n\r\nLEAK")
