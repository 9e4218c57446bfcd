"""Internal details stay internal: the text of an upstream's failures, its fields and its URLs."""

import json

import pytest

from faulty import Upstream, answer, chunk, head
from outcome import new_id, request
from proxied import THING
from wire import envelope

pytestmark = pytest.mark.upstream
LEAK = "LEAK 10.0.0.7 Traceback"
SHAPES = {
    "detail-text": {"detail": LEAK},
    "detail-object": {"detail": {"message": LEAK, "any": LEAK}},
    "detail-list": {"detail": [LEAK, {"msg": LEAK, "loc": [LEAK]}]},
    "message": {"message": LEAK},
    "msg": {"msg": LEAK},
    "error-text": {"error": LEAK},
    "error-message": {"error": {"message": LEAK}},
    "error-details": {"error": {"code": "X_Y", "details": {"query": LEAK}}},
    "system-message": {"error": {"system_message": LEAK}},
    "problem": {"title": LEAK, "detail": LEAK, "instance": f"/{LEAK}", "exception": LEAK},
    "spring": {"timestamp": "2024-01-01", "status": 500, "error": LEAK, "trace": LEAK, "path": LEAK},
    "oauth": {"error": "server_error", "error_description": LEAK},
    "graphql": {"errors": [{"message": LEAK, "extensions": {"exception": {"stacktrace": [LEAK]}}}]},
    "errors-object": {"errors": {"field": [LEAK]}},
    "meta": {"detail": "x", "meta": {"host": LEAK}},
    "message-list": {"message": [LEAK]},
    "code": {"code": LEAK, "message": "x"},
    "code-of-a-host": {"code": "LEAK.internal-7", "message": "x"},
    "text": LEAK,
}
INSIDE = [
    "Server: LEAK/1", "X-Powered-By: LEAK", "X-Debug-Trace: LEAK", "X-Internal-Host: LEAK", "Via: 1.1 LEAK", "Set-Cookie: LEAK=1",
    "Location: http://LEAK.internal/", 'WWW-Authenticate: Basic realm="LEAK"', "Refresh: 0; url=http://LEAK/",
    "X-Gateway-Organization: LEAK", "Proxy-Status: LEAK;next-hop=LEAK", "X-RateLimit-Node: LEAK", "Access-Control-Node: LEAK", "Link: <http://LEAK/>", "Retry-After: 99999999999999", 'Proxy-Authenticate: Basic realm="LEAK"',
    'Proxy-Authentication-Info: LEAK=1',
]


class Told(Upstream):
    """Sends the response that the test sets."""

    status, body, fields = "200 OK", b"{}", ()

    def play(self, link, request):
        answer(link, request, self.body, self.status, *self.fields)


@pytest.fixture
def upstream():
    with Told() as upstream:
        yield upstream


def ask(gateway, *fields, host=None):
    message = request(gateway, "GET", THING, [f"X-Id: {new_id()}", *fields])
    if host:
        message = message.replace(f"Host: localhost:{gateway.port}".encode(), f"Host: {host}".encode(), 1)
    with gateway.wire() as wire:
        wire.send(message)
        return wire.final()


def test_the_words_of_a_failure_stay_inside(front, upstream):
    """A service writes its stack trace, queries and hosts into a 5xx, in any shape: clients get none of it."""
    gateway = front(upstream)
    for status, code in (("500 Oops", "UPSTREAM_ERROR"), ("502 Oops", "BAD_GATEWAY"), ("503 Oops", "SERVICE_UNAVAILABLE")):
        for name, shape in SHAPES.items():
            upstream.status, upstream.body = status, json.dumps(shape).encode()
            got = ask(gateway)
            error = envelope(got, int(status[:3]))
            assert b"LEAK" not in got.body, (name, got)
            assert error["details"] == {} and "system_message" not in error, (name, got)
            assert error["code"] == ("X_Y" if name == "error-details" else code), (name, got)


def test_the_words_of_a_refusal_go_on(front, upstream):
    """The client gets the text of a 4xx: it must know what it did wrong."""
    gateway = front(upstream)
    upstream.status, upstream.body = "422 No", json.dumps({"detail": [{"loc": ["body", "a"], "msg": "is required"}]}).encode()
    error = envelope(ask(gateway), 422, "VALIDATION_ERROR")
    assert error["message"] == "body.a: is required" and error["details"]["errors"]


def test_policy_may_show_them(front, upstream):
    gateway = front(upstream, errors="show")
    upstream.status, upstream.body = "500 Oops", json.dumps({"detail": LEAK}).encode()
    error = envelope(ask(gateway), 500)
    assert error["message"] == LEAK and error["details"]["upstream"]["body"] == {"detail": LEAK}


@pytest.mark.parametrize("status", ["500 Oops", "503 Oops", "404 No", "401 No", "403 No", "429 No"])
def test_the_fields_of_an_error_are_a_list_of_what_goes_on(front, upstream, status):
    """Fields about internal hosts, programs, sessions and proxies do not reach the client, and no wait lasts 68 years."""
    gateway = front(upstream)
    upstream.status, upstream.fields = status, [*INSIDE, "X-Request-Id: up-1", "X-RateLimit-Remaining: 3"]
    got = ask(gateway)
    assert b"LEAK" not in got.raw_head, got.raw_head
    assert got["x-request-id"] == "up-1" and got["x-ratelimit-remaining"] == "3"
    assert got["retry-after"] == "86400"
    assert (got["www-authenticate"] or "").startswith("Bearer") == status.startswith("401")


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "302 Found", "407 Who", "500 Oops"])
def test_a_proxy_answers_no_challenge_for_its_clients(front, upstream, status):
    """`Proxy-Authenticate` and `Proxy-Authentication-Info` are for the next hop, with every status (RFC 9110, section 11.7.1)."""
    gateway = front(upstream)
    upstream.status = status
    upstream.fields = ["Proxy-Authenticate: Basic realm=in", "proxy-authentication-info: a=1", "X-Request-Id: r"]
    got = ask(gateway)
    assert got["proxy-authenticate"] is None and got["proxy-authentication-info"] is None, got.raw_head


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "500 Oops"])
def test_an_upstream_does_not_say_which_answer_of_the_gateway_it_is(front, upstream, status):
    """A client relies on these fields: `deduplicated` means that no second job began."""
    gateway = front(upstream)
    upstream.status = status
    upstream.fields = ["x-gateway-OUTCOME: deduplicated", "X-Gateway-Else: 1", "Idempotent-Replayed: true", "X-Request-Id: r"]
    got = ask(gateway)
    assert got["x-gateway-outcome"] is None and got["x-gateway-else"] is None and got["idempotent-replayed"] is None, got.raw_head
    assert got["x-request-id"] == "r"


def test_places_of_the_upstream_are_the_gateways(front, upstream):
    """A service that makes absolute URLs of the Host it gets would send clients to an address they cannot reach."""
    gateway = front(f"{upstream.url}/base")
    own, there = f"https://localhost:{gateway.port}", f"127.0.0.1:{upstream.port}"
    for status in ("201 Created", "302 Found", "200 OK", "307 Again"):
        upstream.status = status
        for place, wanted in {
            f"http://{there}/base/x?a=%7C": f"{own}/x?a=%7C", f"https://{there}/base": f"{own}/", f"//{there}/base/y": f"{own}/y",
            "/elsewhere?a=%7C": "/elsewhere?a=%7C", "https://example.com/base/x": "https://example.com/base/x",
            f"http://{there}/based": None, f"http://{there}/base/../x": None, f"http://127.0.0.1:{upstream.port + 1}/base/x": None,
            f"http://user:pw@{there}/base/z": f"{own}/z", "../x": "../x", f"{own}/x": f"{own}/x",
        }.items():
            upstream.fields = [f"Location: {place}", f"content-location: {place}", "X-Correlation-Id: 12",
                               f"Link: </a>; rel=up, <{place}>; rel=next", f"Refresh: 5; url={place}"]
            got = ask(gateway)
            assert got["location"] == wanted and got["content-location"] == wanted, got.raw_head
            assert got["refresh"] == (wanted and f"5; url={wanted}"), got.raw_head
            assert got["link"] == "</a>; rel=up" + (f", <{wanted}>; rel=next" if wanted else ""), got.raw_head
            assert got["x-correlation-id"] == "12" and got["content-length"] == "2"
    upstream.fields = [f"Location: http://{there}/base/x"]
    assert ask(gateway, host="api.example.com")["location"] == "https://api.example.com/x"
    upstream.status = "409 Conflict"
    assert ask(gateway)["location"] == "/x"
    upstream.fields = ["Location: http://10.0.0.1/admin"]
    assert ask(gateway)["location"] is None


def test_a_hint_names_no_host_of_the_inside(front, upstream):
    """An early hint has the service's URLs and fields, and is sent before it is known that the request will fail."""
    gateway = front(upstream)

    def hint(link, request):
        link.send(f"HTTP/1.1 103 Early Hints\r\nLink: {hint.links}\r\nX-Debug: LEAK\r\n\r\n".encode())
        answer(link, request)

    upstream.play = hint
    for hint.links, told in ((f"<{upstream.url}/x>; rel=preload", False), ("</x>; rel=preload", True)):
        with gateway.wire() as wire:
            wire.send(request(gateway, "GET", THING, [f"X-Id: {new_id()}"]))
            got = wire.read()
            assert got.status == 103 and got.fields == ([("link", hint.links)] if told else []), got.raw_head
            assert wire.read().status == 200


def test_places_behind_a_body_end_here(front, upstream):
    """Trailers come after the head, when locations are not mapped any more."""
    gateway = front(upstream)
    upstream.play = lambda link, request: link.send(
        head(request, "200 OK", "Transfer-Encoding: chunked") + chunk(b"{}") + b"0\r\nLocation: http://LEAK/\r\nContent-Location: http://LEAK/\r\n"
        b"Link: <http://LEAK/>\r\nRefresh: 0;url=http://LEAK/\r\nX-Sum: 1\r\n\r\n")
    with gateway.wire() as wire:
        wire.send(request(gateway, "GET", THING, [f"X-Id: {new_id()}"]))
        assert wire.final().trailers == [b"X-Sum: 1"]
