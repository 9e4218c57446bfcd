"""The faulty upstream itself: without a gateway, each fault is what its name says, and no two are the same."""

import concurrent.futures
import re
import socket
import time

import pytest

import catalogue
import expected
from faulty import Deaf, Refusing, Upstream
from gateway import wait_for
from outcome import Outcome
from wire import Wire

pytestmark = pytest.mark.upstream
REQUEST = "{method} /thing HTTP/1.1\r\nHost: x\r\nX-Fault: {fault}\r\nX-Id: one\r\n{more}\r\n"
# Good to a client to which RFC 9112 allows more than to a gateway.
LENIENT = {"version-1-9", "status-without-a-space-behind", "same-length-twice", "http-1-0-keep-alive",
           "http-1-0-without-length", "no-length", "no-length-without-close-notify", "no-length-then-reset"}
# The responses to these never end, or never begin.
SILENT = re.compile(r"hang-|.*-hang\Z|banner\Z|endless-head\Z|body-never-read\Z")


def message(fault, method="GET", more=""):
    return REQUEST.format(fault=fault, method=method, more=more).encode()


def observe(fault):
    """All bytes of the response and the end of the connection: "fin", "rst" or "open"; "endless" if the bytes never end."""
    received = b""
    until = time.monotonic() + 2
    with Upstream(accept=fault if fault in catalogue.ACCEPT_FAULTS else None) as upstream:
        try:
            with socket.create_connection(("127.0.0.1", upstream.port), timeout=5) as plain:
                plain.sendall(message(fault))
                plain.settimeout(0.3 if fault.startswith("hang-") else 0.6)
                while len(received) < 3 << 20 and time.monotonic() < until:
                    data = plain.recv(1 << 16)
                    if not data:
                        return received, "fin"
                    received += data
                return received[:1 << 16], "endless"
        except TimeoutError:
            return received, "open"
        except (ConnectionResetError, BrokenPipeError):
            return received, "rst"


@pytest.fixture(scope="module")
def observed():
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        names = [name for name in catalogue.NAMES if name not in ("refuse", "hang-before-accept")]
        return dict(zip(names, pool.map(observe, names)))


def test_there_are_many_and_each_has_a_row():
    rows = {**expected.TABLE, **expected.ACCEPTED, **expected.HANDSHAKES, **expected.EARLY}
    assert set(rows) == set(catalogue.NAMES) and len(rows) >= 45


def test_each_ends_as_its_name_says(observed):
    for name, (data, end) in observed.items():
        verb = name.split("-")[0]
        if SILENT.match(name) and name != "body-never-read":
            assert end == ("endless" if name == "endless-head" else "open"), (name, end)
        elif verb in ("close", "http_0_9"):
            wanted = ("open",) if name == "close-announced-but-open" else ("fin", "rst") if "handshake" in name else ("fin",)
            assert end in wanted, (name, end)
        elif verb == "reset" or name.endswith("-reset"):
            assert end == "rst", (name, end)
        elif name == "error-endless":
            assert end == "endless", (name, end)
        assert end != "open" or data or name.startswith("hang"), f"{name} does nothing"


def test_no_two_are_the_same(observed):
    same = {}
    for name, played in observed.items():
        same.setdefault(played, []).append(name)
    # These differ only in time, over TLS, or with a body.
    timed = re.compile(r"(hang|close|reset)-(before-head|after-accept|before-accept)|accept-then-.*|refuse|.*handshake"
                       r"|slow-.*|.*while-idle|early-.*|read-slowly|body-never-read|close-before-the-body-was-read"
                       r"|response-twice|no-length.*|http-0-9")
    for names in same.values():
        names = [name for name in names if not timed.fullmatch(name)]
        assert len(names) <= 1, names


def test_strict_readers_refuse_what_the_gateway_has_to_refuse(observed):
    """The table of good and bad responses agrees with the tests' own strict parser."""
    for name, row in expected.TABLE.items():
        if name in LENIENT or row.error not in (None, "http_protocol_error") or "storm" in name or "flood" in name:
            continue
        verdict = judge(name)
        assert verdict == ("cut" if row.cut else "refused" if row.error else "good"), f"{name}: {verdict}"


def judge(name):
    with Upstream() as upstream, Wire(upstream.port, tls=False, deadline=0.5) as wire:
        wire.send(message(name))
        seen = False

        def on_head(_):
            nonlocal seen
            seen = True

        try:
            outcome = Outcome(wire, "GET", on_head)
        except (AssertionError, ValueError, EOFError, TimeoutError):
            return "cut" if seen else "refused"
        return "cut" if outcome.cut else "good"


def test_what_was_received_is_recorded():
    with Upstream() as upstream:
        with Wire(upstream.port, tls=False) as wire:
            wire.send(message("well") + message("well", "POST", "Content-Length: 3\r\n") + b"abc")
            wire.send(message("well", "POST", "Transfer-Encoding: chunked\r\n") + b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\nX: y\r\n\r\n")
            assert [wire.final().status for _ in range(3)] == [200] * 3
        link = upstream.links[0]
        wait_for(lambda: link.end, "the end of the connection")
        assert link.end == "FIN"
        assert [request.method for request in link.requests] == ["GET", "POST", "POST"]
        assert [request.body for request in upstream.received("one")] == [b"", b"abc", b"abc"]
        assert link.requests[2].raw_body == b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\nX: y\r\n"
        assert bytes(link.raw).startswith(message("well"))


def test_a_reset_is_told_from_a_close():
    with Upstream() as upstream:
        plain = socket.create_connection(("127.0.0.1", upstream.port))
        plain.sendall(message("hang-before-head"))
        wait_for(upstream.received, "the request")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        plain.close()
        wait_for(lambda: upstream.links[0].end, "the end of the connection")
        assert upstream.links[0].end == "RST"


def test_refusing_and_deaf_ports():
    with Refusing() as refusing, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", refusing.port), timeout=5)
    with Deaf() as deaf, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", deaf.port), timeout=0.3)
