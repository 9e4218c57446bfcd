"""Raw bytes over TLS: legal requests are served in order, slow or too large ones are ended (RFC 9110, RFC 9112)."""

import json
import socket
import ssl
import time

import pytest

from gateway import CONNECTION, JOBS, REFRESH, STATE
from raw import GET, head, post, refused, served
from wire import Wire, envelope

pytestmark = pytest.mark.wire


def test_well_formed_chunks(shared):
    """Extensions, odd sizes and trailers are legal; trailers are dropped, and the connection continues."""
    body = '{"streams":["nothing"]}'
    with shared.wire() as wire:
        for chunks in (
            f"{len(body):x}\r\n{body}\r\n0\r\n\r\n", f"{len(body):X};a=b;c=\"d e\"\r\n{body}\r\n000\r\n\r\n",
            f"0000{len(body):x}\r\n{body}\r\n0\r\nX-Trailer: y\r\nContent-Length: 7\r\nAuthorization: Bearer x\r\n\r\n",
            "".join(f"1\r\n{byte}\r\n" for byte in body) + "0\r\n\r\n",
        ):
            wire.send(post(shared, "Transfer-Encoding: chunked") + chunks)
            answer = wire.final()
            envelope(answer, 422, "VALIDATION_ERROR")
            assert not answer.closes
        wire.send(post(shared, "Transfer-Encoding: Chunked") + f"{len(body):x}\r\n{body}\r\n0\r\n\r\n")
        envelope(wire.final(), 422)


def test_a_body_in_single_bytes(shared):
    body = '{"streams":["nothing"]}'
    with shared.wire() as wire:
        for byte in post(shared, f"Content-Length: {len(body)}") + body:
            wire.send(byte)
        envelope(wire.final(), 422, "VALIDATION_ERROR")


def test_too_long(shared):
    refused(shared, head(shared, f"GET {STATE}?{'x' * 70000} HTTP/1.1"), 414)
    refused(shared, head(shared, f"GET {STATE} HTTP/1.1", f"X: {'y' * 200000}"), 431)
    refused(shared, head(shared, f"GET {STATE} HTTP/1.1", *[f"X{index}: y" for index in range(2000)]), 431)
    refused(shared, GET + f"X: {'y' * 200000}", 431)
    refused(shared, "G" * 200000, (400, 414, 431, 501))
    assert served(shared, head(shared, f"GET {STATE}?{'x' * 2000} HTTP/1.1", f"X: {'y' * 2000}")).status == 200


def test_too_large_bodies(shared):
    refused(shared, post(shared, "Content-Length: 100000000"), 413, "PAYLOAD_TOO_LARGE")
    with shared.wire() as wire:
        wire.send(post(shared, "Transfer-Encoding: chunked"))
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        try:
            for _ in range(64 * 16):
                wire.send(piece)
        except OSError:
            pass
        answer = wire.final()
        envelope(answer, 413, "PAYLOAD_TOO_LARGE")
        assert answer.closes


def test_expect_100_continue(shared):
    body = '{"streams":["nothing"]}'
    with shared.wire() as wire:
        for _ in range(2):
            wire.send(post(shared, f"Content-Length: {len(body)}", "Expect: 100-continue"))
            assert wire.read().status == 100
            wire.send(body)
            envelope(wire.read(), 422, "VALIDATION_ERROR")
        # A client that sends its body at once need not wait; an interim response may still come.
        wire.send(post(shared, f"Content-Length: {len(body)}", "Expect: 100-Continue") + body)
        envelope(wire.final(), 422)


@pytest.mark.parametrize("name, status", [("token", 401), ("organization", 403), ("route", 404), ("size", 413)])
def test_what_the_head_decides_is_answered_before_the_body(shared, name, status):
    data = post(shared, "Content-Length: 23", "Expect: 100-continue")
    data = {
        "token": data.replace(shared.token, "wrong"), "organization": data.replace("org_xyz789", "org_other"),
        "route": data.replace("/v1/", "/v9/"), "size": data.replace(": 23", ": 100000000")}[name]
    with shared.wire() as wire:
        wire.send(data)
        answer = wire.read()
        envelope(answer, status)
        if answer.closes:
            wire.expect_close()
        else:
            # The connection stays open: then the body that follows must not be parsed as a request.
            wire.send('{"streams":["nothing"]}' + head(shared))
            assert wire.final().status == 200


def test_an_unknown_expectation(shared):
    with shared.wire() as wire:
        wire.send(head(shared, f"GET {STATE} HTTP/1.1", "Expect: the-impossible"))
        assert wire.final().status in (200, 417)


def test_an_unread_body_never_becomes_a_request(shared):
    """A refused POST: the gateway reads its body to the end, or closes the connection."""
    hidden = head(shared, "DELETE /hidden HTTP/1.1")
    data = post(shared, f"Content-Length: {len(hidden)}").replace(shared.token, "wrong", 1) + hidden + head(shared)
    with shared.wire() as wire:
        wire.send(data)
        answer = wire.final()
        envelope(answer, 401)
        if answer.closes:
            wire.expect_close()
        else:
            assert wire.final().status == 200


def test_pipelining_in_order(shared):
    paths = [STATE if index % 3 else f"{JOBS}/job_{index}" for index in range(60)]
    body = json.dumps({"streams": ["nothing"]})
    data = ""
    for index, path in enumerate(paths):
        data += head(shared, f"GET {path} HTTP/1.1", f"traceparent: 00-{index + 1:032x}-00f067aa0ba902b7-01")
        data += post(shared, f"Content-Length: {len(body)}") + body
    with shared.wire() as wire:
        wire.send(data)
        for index, path in enumerate(paths):
            answer = wire.final()
            assert answer.status == (200 if path == STATE else 404), (index, answer)
            assert int(answer["x-trace-id"], 16) == index + 1, "answers out of order"
            assert wire.final().status == 422


def test_pipelining_goes_on_behind_a_slow_request(roomy):
    """A trigger waits for the disk; the reads after it get their responses after its response."""
    body = json.dumps({"connection_id": CONNECTION, "job_type": "sync"})
    with roomy.wire() as wire:
        for _ in range(5):
            wire.send((post(roomy, f"Content-Length: {len(body)}", path=JOBS) + body + head(roomy)) * 5)
        answers = [wire.final().status for _ in range(50)]
        assert answers[0] == 200 and set(answers[0::2]) <= {200, 409} and set(answers[1::2]) == {200}


def test_a_request_in_every_two_pieces(shared):
    data = head(shared).encode()
    with shared.wire() as wire:
        for cut in range(1, len(data), 7):
            wire.send(data[:cut])
            wire.send(data[cut:])
            assert wire.final().status == 200


def test_empty_lines_before_a_request(shared):
    assert served(shared, "\r\n" + head(shared)).status == 200
    with shared.wire() as wire:
        wire.send(head(shared) + "\r\n" + head(shared))
        assert [wire.final().status, wire.final().status] == [200, 200]


def test_head(shared):
    with shared.wire() as wire:
        wire.send(head(shared))
        get = wire.final()
        wire.send(head(shared, f"HEAD {STATE} HTTP/1.1"))
        answer = wire.final(head=True)
        assert answer.status in (200, 405)
        if answer.status == 200:
            assert answer["content-length"] == get["content-length"]
        wire.send(head(shared, "HEAD /nowhere HTTP/1.1"))
        assert wire.final(head=True).status == 404
        # The SDK's liveness probe.
        wire.send(head(shared, "HEAD / HTTP/1.1"))
        assert wire.final(head=True).status in (200, 204, 404)
        wire.send(head(shared))
        assert wire.final().status == 200, "no body came after a HEAD"


@pytest.mark.parametrize("target", [STATE, JOBS, REFRESH, "*"])
def test_options_needs_no_credential(shared, target):
    with shared.wire() as wire:
        wire.send(f"OPTIONS {target} HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example.com\r\n"
                  "Access-Control-Request-Method: POST\r\n\r\n")
        answer = wire.final()
        assert 200 <= answer.status < 300, answer
        if target != "*":
            assert "OPTIONS" in answer["allow"], answer.raw_head


def test_404_and_405(shared):
    envelope(shared.call("GET", "/nowhere"), 404, "NOT_FOUND")
    envelope(shared.call("GET", "/v1/organizations"), 404, "NOT_FOUND")
    answer = shared.call("PUT", STATE)
    envelope(answer, 405, "METHOD_NOT_ALLOWED")
    assert {"GET", "PATCH"} <= {name.strip() for name in answer["allow"].split(",")}, answer.raw_head
    answer = shared.call("GET", REFRESH)
    assert answer.status in (404, 405), answer


def test_http_1_0(shared):
    for fields, more in (("", False), ("Connection: keep-alive\r\n", True)):
        with shared.wire() as wire:
            wire.send(f"GET {STATE} HTTP/1.0\r\nAuthorization: Bearer {shared.token}\r\n{fields}\r\n")
            answer = wire.final()
            assert answer.status == 200 and answer["transfer-encoding"] is None
            if not more or "keep-alive" not in (answer["connection"] or "").lower():
                wire.expect_close()
    refused(shared, post(shared, "Transfer-Encoding: chunked").replace("HTTP/1.1", "HTTP/1.0") + "0\r\n\r\n", 400)
    body = '{"streams":["nothing"]}'
    with shared.wire() as wire:
        wire.send(post(shared, f"Content-Length: {len(body)}", "Expect: 100-continue").replace("HTTP/1.1", "HTTP/1.0") + body)
        assert wire.read().status == 422, "no interim answer for HTTP/1.0"


def test_connection_close_is_honoured(shared):
    for value in ("close", "Close", "keep-alive, close", "close, x"):
        with shared.wire() as wire:
            wire.send(head(shared, f"GET {STATE} HTTP/1.1", f"Connection: {value}") + head(shared))
            answer = wire.final()
            assert answer.status == 200 and answer.closes
            wire.expect_close()


def test_absolute_form(shared):
    assert served(shared, head(shared, f"GET https://localhost:{shared.port}{STATE} HTTP/1.1")).status == 200
    assert served(shared, head(shared, f"GET HTTP://localhost{STATE}?a=b HTTP/1.1", host="Host: elsewhere")).status == 200
    with shared.wire() as wire:
        wire.send(head(shared, "GET http://localhost HTTP/1.1"))
        assert wire.final().status in (204, 400, 404), "an empty path is that of the root"
    refused(shared, head(shared, f"GET http://localhost{STATE} HTTP/1.1", host=None), 400)
    refused(shared, head(shared, f"GET ftp://localhost{STATE} HTTP/1.1"), (400, 404, 421))


def test_upgrades_are_ignored(shared):
    answer = served(shared, head(shared, f"GET {STATE} HTTP/1.1", "Connection: Upgrade, HTTP2-Settings",
                                 "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"))
    assert answer.status == 200


def test_every_answer_has_a_date_and_no_server_software(shared):
    for answer in (served(shared, head(shared)), shared.call("GET", "/nowhere")):
        assert answer["date"].endswith(" GMT"), answer.raw_head
        assert "OpenSSL" not in answer.raw_head.decode("latin-1")


def test_success_bodies_are_json(shared):
    answer = served(shared, head(shared))
    assert answer["content-type"].startswith("application/json")
    assert int(answer["content-length"]) == len(answer.body)


def test_a_half_closed_client_gets_its_answers(shared):
    """The client sends all requests and shuts down its side of the connection: the responses still come."""
    with shared.wire() as wire:
        wire.send(head(shared) * 3)
        socket.socket.shutdown(wire.socket, socket.SHUT_WR)
        assert [wire.final().status for _ in range(3)] == [200] * 3
        # Without close_notify the gateway may treat this as truncation; in any case the connection ends.
        with pytest.raises((EOFError, ssl.SSLError)):
            wire.final()


def test_plain_http_on_the_tls_port(shared):
    for data in (GET + "\r\n", f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n" + "{}",
                 "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        with Wire(shared.port, tls=False) as wire:
            wire.send(data)
            answer = wire.final()
            error = envelope(answer, 400)
            assert "https" in error["message"].lower() or "tls" in error["message"].lower(), error
            assert answer.closes
            wire.expect_close()


@pytest.mark.parametrize("data", [b"", b"\0", b"SSH-2.0-x\r\n", bytes(range(256)) * 8, b"\x16\x03\x01\xff\xff" + b"x" * 1000])
def test_noise_on_the_tls_port_ends_in_a_close(shared, data):
    with socket.create_connection(("127.0.0.1", shared.port), timeout=15) as plain:
        plain.sendall(data)
        plain.shutdown(socket.SHUT_WR)
        try:
            while plain.recv(65536):
                pass
        except ConnectionResetError:
            pass
    assert shared.call("GET", STATE).status == 200


def test_slow_clients_are_cut(start, policies):
    policies.settings(timeouts={"handshake": "1s", "head": "1s", "bodyProgress": "1s", "idle": "2s"})
    gateway = start(policies)
    begun = time.monotonic()
    slow = [gateway.wire() for _ in range(5)]
    # 1. a head that trickles: the deadline is for the whole head, not per byte
    slow[0].send(GET)
    # 2. a body that stops
    slow[1].send(post(gateway, "Content-Length: 100") + "{")
    # 3. a chunk that stops
    slow[2].send(post(gateway, "Transfer-Encoding: chunked") + "5\r\n{")
    # 4. nothing after a request, 5. nothing at all
    slow[3].send(head(gateway))
    assert slow[3].final().status == 200
    # 6. a handshake that stops
    handshake = socket.create_connection(("127.0.0.1", gateway.port), timeout=15)
    handshake.sendall(b"\x16\x03\x01")
    ended = False
    while not ended and time.monotonic() - begun < 10:
        try:
            slow[0].send("X: y\r\n")
        except OSError:
            break
        slow[0].socket.settimeout(0.2)
        try:
            data = slow[0].socket.recv(65536)
            slow[0].buffer += data
            ended = True
        except TimeoutError:
            pass
    assert time.monotonic() - begun < 6, "a trickling head outlived its deadline"
    if slow[0].buffer:
        envelope(slow[0].final(), 408)
    for wire in slow[1:3]:
        answer = wire.final()
        envelope(answer, 408)
        assert answer.closes
        wire.expect_close()
    slow[3].expect_close()
    rest = slow[4].rest()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 408 ")
    handshake.settimeout(10)
    assert handshake.recv(100) is not None
    handshake.close()
    assert time.monotonic() - begun < 12
    assert gateway.call("GET", STATE).status == 200
    for wire in slow:
        wire.close()


def test_many_idle_connections_do_not_disturb(shared):
    idle = [shared.wire() for _ in range(200)]
    try:
        assert shared.call("GET", STATE).status == 200
        for wire in idle[::20]:
            wire.send(head(shared))
            assert wire.final().status == 200
    finally:
        for wire in idle:
            wire.close()
