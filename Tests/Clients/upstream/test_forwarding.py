"""Forwarding: fields in both directions, the identity of the caller, loops."""

import re

import pytest

from faulty import Upstream
from gateway import ORGANIZATION, free_port, wait_for
from outcome import Outcome, new_id, request
from proxied import THING, behind, play, well
from wire import envelope

pytestmark = pytest.mark.upstream
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def upstream():
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream, tmp_path_factory):
    gateway = behind(tmp_path_factory.mktemp("forwarding"), upstream)
    yield gateway
    gateway.kill()


@pytest.fixture(scope="module")
def trusting(upstream, tmp_path_factory):
    gateway = behind(tmp_path_factory.mktemp("trusting"), upstream, gateway={"trustedProxies": ["127.0.0.0/8"]})
    yield gateway
    gateway.kill()


def arrived(gateway, upstream, *fields, method="GET", path=THING, body=None, status=200):
    """The request as the upstream received it."""
    with gateway.wire() as wire:
        identity, outcome = play(gateway, wire, "well", method, body, path, fields)
        assert outcome.answer.status == status, outcome.answer
        well(gateway, wire)
    received = upstream.received(identity)
    assert len(received) == 1
    return received[0]


@pytest.mark.parametrize("query", [
    "", "?a=%7C%2B%2F%20+&b=c%c3%a4", "?", "?a=1&a=2&&=&b",
    "?created_at_start=2024-01-01T00%3A00%3A00%2B02%3A00&order_by=createdAt%7CDESC", "?x=a:b@c/d?e'(f)*!$~,;", "?%41%zz=%", "?a=[]{}|^`\\\"<>"])
def test_the_target_goes_on_byte_for_byte(gateway, upstream, query):
    with gateway.wire() as wire:
        identity, outcome = play(gateway, wire, "well", path=THING + query)
    if outcome.answer.status == 400:  # an invalid target is refused, never repaired
        assert re.search(r"[\[\]{}|^`\\\"<>]|%(?![0-9a-fA-F]{2})", query) and upstream.received(identity) == []
    else:
        assert upstream.received(identity)[0].target == THING + query


def test_the_base_of_the_url_goes_in_front(front, upstream):
    gateway = front(f"{upstream.url}/base/v2.0")
    request = arrived(gateway, upstream, path=f"{THING}?a=%7C")
    assert request.target == f"/base/v2.0{THING}?a=%7C"
    assert request.raw_head.startswith(f"GET /base/v2.0{THING}?a=%7C HTTP/1.1\r\nHost: 127.0.0.1:{upstream.port}\r\n".encode())


def test_end_to_end_fields_go_on_as_they_are(gateway, upstream):
    sent = ["X-Fern-Language: Python", "x-ODD-case: a  b\tc", "Accept: */*", "Accept: text/html", "Cookie: a=b; c=d",
            "X-Organization-ID: " + ORGANIZATION, "X-Request-Id: mine-1", "If-None-Match: \"1\"", "Range: bytes=0-5",
            "X-Latin: caf\xe9", "X-Empty:", "Idempotency-Key: \"k\"", "User-Agent: x/1", "Accept-Encoding: gzip, br",
            "Max-Forwards: 3", "From: a@b", "Cache-Control: no-cache"]
    request = arrived(gateway, upstream, *sent)
    lines = request.raw_head.decode("latin-1").split("\r\n")
    places = [lines.index(line) for line in sent]
    assert places == sorted(places), "order is kept"


HOP = ["Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: trailers, deflate", "Upgrade: h2c", "X-Hop: 1",
       "x-other-hop: 2", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"]


def test_fields_of_one_hop_end_here(gateway, upstream):
    request = arrived(gateway, upstream, "Connection: keep-alive, X-Hop",
                      "connection: HTTP2-Settings, Upgrade , x-Other-Hop", *HOP)
    for line in HOP:
        assert request[line.split(":")[0]] is None, line
    assert request["connection"] is None


@pytest.mark.parametrize("name", [
    "Authorization", "Content-Length", "Host", "X-Gateway-Organization", "X-Gateway-Principal", "Via", "X-Forwarded-For",
    "Forwarded", "Transfer-Encoding", "Content-Type", "traceparent", "close, X-Id", ",,keep-alive ,, Via,"])
def test_a_client_cannot_nominate_the_gateways_own_fields_away(gateway, upstream, name):
    """Fields that Connection nominates are removed before the gateway adds its own (RFC 9110, section 7.6.1)."""
    identity = new_id()
    with gateway.wire() as wire:
        wire.send(request(gateway, "POST", f"{THING}?{identity}", [f"Connection: {name}"], b'{"a": 1}'))
        assert Outcome(wire, "POST").answer.status == 200
    (got,) = [one for one in upstream.received() if one.target == f"{THING}?{identity}"]
    assert got.body == b'{"a": 1}' and got["content-length"] == "8" and got["host"] == f"127.0.0.1:{upstream.port}"
    assert got["x-gateway-organization"] == ORGANIZATION and got["x-gateway-principal"]
    assert got["via"] and got["x-forwarded-for"] == "127.0.0.1" and got["forwarded"] and got["traceparent"]
    assert got["connection"] is None and got["transfer-encoding"] is None


SPOOFED = ["X-Gateway-Organization", "x-gateway-organization", "X_Gateway_Organization", "X-Gateway_Organization",
           "x_gateway-principal", "X-Gateway-Principal", "X-GATEWAY-POLICY-VERSION", "X_Gateway_Anything",
           "x-gateway-future", "X_Forwarded_For", "X_FORWARDED_PROTO", "X-Forwarded_Host", "X-Forwarded-Port",
           "X-Forwarded-Prefix", "X_Organization_ID", "x-organization_id"]


def test_nobody_speaks_for_the_gateway(gateway, trusting, upstream):
    for proxy in (gateway, trusting):
        got = arrived(proxy, upstream, *(f"{name}: spoofed" for name in SPOOFED if proxy is gateway or "orward" not in name))
        assert "spoofed" not in got.raw_head.decode("latin-1"), got.raw_head
        assert got.all("x-gateway-organization") == [ORGANIZATION]
        assert len(got.all("x-gateway-principal")) == 1
        assert [name for name, _ in got.fields if name.lower().startswith("x_")] == []


def test_the_organization_that_was_checked_is_the_one_that_goes_on(gateway, upstream):
    """This field decided what the token may be used for: a client cannot remove it, and it is sent once."""
    got = arrived(gateway, upstream, "Connection: X-Organization-ID", f"X-Organization-ID: {ORGANIZATION}",
                  path="/v1/source-connections")
    assert got.all("x-organization-id") == [ORGANIZATION]


def test_strangers_are_described_by_what_is_seen(gateway, upstream):
    got = arrived(gateway, upstream, "X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 7.7.7.7", "X-Forwarded-Proto: http",
                  "X-Forwarded-Host: evil", "Forwarded: for=6.6.6.6;host=evil", "X-Real-IP: 6.6.6.6", "Via: 1.1 other")
    assert got.all("x-forwarded-for") == ["127.0.0.1"] and got.all("x-forwarded-proto") == ["https"]
    assert got.all("x-forwarded-host") == [f"localhost:{gateway.port}"]
    (forwarded,) = got.all("forwarded")
    assert forwarded == f'for=127.0.0.1;proto=https;host="localhost:{gateway.port}"'
    via = ", ".join(got.all("via"))
    assert re.fullmatch(r"1\.1 other, 1\.1 [\w.-]+", via), "Via is a trace and grows (RFC 9110, section 7.6.3)"


def test_a_trusted_proxy_is_believed(trusting, upstream):
    got = arrived(trusting, upstream, "X-Forwarded-For: 8.8.8.8, 9.9.9.9", "X-Forwarded-Proto: http",
                  "X-Forwarded-Host: public.example.com", "Forwarded: for=8.8.8.8;proto=http")
    assert ", ".join(got.all("x-forwarded-for")) == "8.8.8.8, 9.9.9.9, 127.0.0.1"
    assert got.all("x-forwarded-proto") == ["http"] and got.all("x-forwarded-host") == ["public.example.com"]
    forwarded = ", ".join(got.all("forwarded"))
    assert forwarded.startswith("for=8.8.8.8;proto=http, for=127.0.0.1;proto=https"), forwarded
    got = arrived(trusting, upstream)
    assert got.all("x-forwarded-for") == ["127.0.0.1"] and got.all("x-forwarded-proto") == ["https"]


@pytest.mark.parametrize("sent, joined, state", [
    ([f"traceparent: 00-{TRACE}-{PARENT}-01", "tracestate: a=1,b=2"], True, "a=1,b=2"),
    ([f"traceparent: 00-{TRACE}-{PARENT}-00", "tracestate: a=1", "tracestate: b=2"], True, "a=1,b=2"),
    ([f"traceparent: 00-{TRACE}-{PARENT}-01"], True, ""),
    ([f"traceparent: 00-{TRACE}-{PARENT}-01", "tracestate: a=1,=bad"], True, ""),
    ([f"traceparent: 00-{TRACE.upper()}-{PARENT}-01", "tracestate: a=1"], False, ""),
    ([f"traceparent: ff-{TRACE}-{PARENT}-01", "tracestate: a=1"], False, ""),
    ([f"traceparent: 00-{'0' * 32}-{PARENT}-01", "tracestate: a=1"], False, ""),
    (["tracestate: a=1"], False, ""),
])
def test_trace_context(gateway, upstream, sent, joined, state):
    got = arrived(gateway, upstream, *sent)
    (parent,) = got.all("traceparent")
    match = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", parent)
    assert match, parent
    assert (match[1] == TRACE) == joined and match[2] != PARENT and int(match[2], 16)
    assert ",".join(got.all("tracestate")).replace(" ", "") == state


def test_the_trace_of_an_answer_is_that_of_the_request(gateway, upstream):
    with gateway.wire() as wire:
        identity, outcome = play(gateway, wire, "close-mid-head", "POST", b"{}", fields=[f"traceparent: 00-{TRACE}-{PARENT}-01"])
        assert envelope(outcome.answer, 502)["trace_id"] == TRACE
        assert upstream.received(identity)[0]["traceparent"].startswith(f"00-{TRACE}-")


def test_credentials(front, upstream, tmp_path):
    key = ["x-api-key: dummy"]
    got = arrived(front(upstream), upstream, *key)
    assert got["authorization"].startswith("Bearer cgw_") and got["x-api-key"] is None, "what did not count ends here"
    got = arrived(front(upstream, credential="strip"), upstream, *key)
    assert got["authorization"] is None and got["x-api-key"] is None
    secret = tmp_path / "secret"
    secret.write_text("Bearer upstream-secret\n")
    gateway = front(upstream, credential={"header": "Authorization", "secretFile": str(secret)})
    got = arrived(gateway, upstream, *key)
    assert got.all("authorization") == ["Bearer upstream-secret"] and got["x-api-key"] is None
    # A secret that the upstream refuses is not the client's error.
    with gateway.wire() as wire:
        _, outcome = play(gateway, wire, "error-401")
        envelope(outcome.answer, 502, "BAD_GATEWAY")
        assert outcome.proxy_status == {"error": "proxy_configuration_error"}
        assert b"upstream-secret" not in outcome.answer.raw_head + outcome.answer.body
    assert "upstream-secret" not in gateway.output


@pytest.mark.parametrize("setting, wanted", [
    ("upstream", "127.0.0.1:{upstream}"), ("client", "localhost:{gateway}"), ("api.example.com:8443", "api.example.com:8443")])
def test_host(front, upstream, setting, wanted):
    gateway = front(upstream, host=setting)
    got = arrived(gateway, upstream)
    assert got.all("host") == [wanted.format(upstream=upstream.port, gateway=gateway.port)]


def test_bodies_are_framed_anew(gateway, upstream):
    """With a length or with chunks; chunk extensions and trailers are hop-by-hop."""
    got = arrived(gateway, upstream, method="POST", body=b"x" * 100_000)
    assert got.body == b"x" * 100_000 and got.all("content-length") == ["100000"]
    identity = new_id()
    with gateway.wire() as wire:
        wire.send(request(gateway, "POST", THING, [f"X-Id: {identity}", "Transfer-Encoding: chunked", "Trailer: X-T"])
                  + b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\nX-Gateway-Organization: evil\r\n\r\n")
        assert Outcome(wire, "POST").answer.status == 200
        well(gateway, wire)
    (got,) = upstream.received(identity)
    assert got.body == b"abcde" and b"ext" not in got.raw_body and b"evil" not in got.raw_body
    assert arrived(gateway, upstream, method="POST").all("content-length") == ["0"], "curl's POST without a body"
    assert arrived(gateway, upstream).all("content-length") == [], "a GET has nothing to say"


def test_expect_is_met_by_the_gateway(gateway, upstream):
    identity = new_id()
    with gateway.wire() as wire:
        wire.send(request(gateway, "POST", THING, [f"X-Id: {identity}", "Expect: 100-continue", "Content-Length: 5"]))
        assert wire.read().status == 100
        wire.send("hello")
        assert wire.read().status == 200
    (got,) = upstream.received(identity)
    assert got.body == b"hello" and got["expect"] is None


def test_fields_of_the_answer(gateway):
    with gateway.wire() as wire:
        _, outcome = play(gateway, wire, "fields")
        answer = outcome.answer
        well(gateway, wire)
    assert answer.all("set-cookie") == ["a=1", "b=2"] and answer.all("vary") == ["Accept", "Origin"]
    assert answer["x-empty"] == "" and answer["x-latin"] == "caf\xe9" and answer["etag"] == 'W/"x"'
    assert answer["x-request-id"] == "up-1" and answer["retry-after"] == "3" and answer["age"] == "4"
    assert answer["date"] == "Sun, 06 Nov 1994 08:49:37 GMT", "the upstream's own (RFC 9110, section 6.6.1)"
    for name in ("x-private", "x-gone", "keep-alive", "proxy-connection", "upgrade", "connection"):
        assert answer[name] is None, name
    assert re.fullmatch("[0-9a-f]{32}", answer["x-trace-id"]) and answer["x-policy-version"]


def test_trailers_go_on_or_end_here(gateway):
    with gateway.wire() as wire:
        _, outcome = play(gateway, wire, "trailers-good")
        assert outcome.answer.trailers in ([], [b"X-Checksum: 42"])
        assert outcome.answer["x-checksum"] is None, "a trailer never becomes a header field (RFC 9110, section 6.5.1)"
        _, outcome = play(gateway, wire, "trailers-that-would-frame")
        names = {line.split(b":")[0].lower() for line in outcome.answer.trailers}
        assert not names & {b"content-length", b"transfer-encoding", b"connection"}, names
        well(gateway, wire)


def test_interim_answers_are_not_for_http_1_0(gateway):
    with gateway.wire() as wire:
        wire.send(request(gateway, "GET", THING, ["X-Fault: early-hints"]).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        assert wire.read().status == 200


def test_a_loop_ends_at_once(front):
    """The gateway's upstream is the gateway itself, with its own certificate."""
    keeper, port = free_port()
    keeper.close()

    def through_itself(gateway):
        gateway.listen = f"127.0.0.1:{port}"
        gateway.written.settings(upstream={**gateway.written.gateway["upstream"], "tls": {"authorities": str(gateway.ca)}})
        authority_of(gateway)

    gateway = front(f"https://localhost:{port}", prepare=through_itself)
    with gateway.wire() as wire:
        wire.send(request(gateway, "GET", THING))
        outcome = Outcome(wire, "GET")
        envelope(outcome.answer, 502, "BAD_GATEWAY")
    assert outcome.answer.all("proxy-status") == ["connector-gateway;received-status=502"], "what is behind is for the log"
    wait_for(lambda: len(gateway.log_lines()) >= 2, "both lines of the log")
    assert len(gateway.log_lines()) == 2, "one round, no more"
    assert any("proxy_loop_detected" in line.get("upstream_error", "") for line in gateway.log_lines())


def authority_of(gateway):
    """Makes the gateway's own certificate by a first run with the in-process service."""
    from gateway import Gateway
    first = Gateway(gateway.state)
    first.start()
    gateway.token = first.token
    assert first.stop() == 0
