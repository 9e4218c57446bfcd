"""Requests that never end: their grant ends in time, also if the token is removed meanwhile."""

import time

import pytest

from faulty import FAULTS, Upstream
from gateway import wait_for
from outcome import new_id, request
from proxied import QUICK, THING, play, well

pytestmark = [pytest.mark.upstream, pytest.mark.alone]

PIECE = b"400\r\n" + b"x" * 0x400 + b"\r\n"


class Streams(Upstream):
    """Sends endless responses: a piece now and then, or as fast as they are read."""

    def play(self, link, request):
        if request.fault == "silence":
            return link.hang()
        if request.fault not in ("stream", "flood"):
            return FAULTS[request.fault](link, request)
        link.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            link.send(PIECE if request.fault == "stream" else PIECE * 64)
            if request.fault == "stream":
                time.sleep(0.1)


@pytest.fixture
def upstream():
    with Streams() as one:
        yield one


def cause_of(gateway, least, status=200):
    """The logged causes of responses with this status."""
    def look():
        causes = [line.get("cause") for line in gateway.log_lines() if line.get("status") == status]
        return causes if len(causes) >= least and all(causes) else None
    return wait_for(look, "the lines of the answers")


@pytest.mark.parametrize("kind", ["stream", "flood"])
def test_an_answer_without_end_is_cut(front, upstream, kind):
    """A stream, slow or fast, that its client keeps open: it ends at the request's total deadline, and the log says why."""
    gateway = front(upstream, timeouts={**QUICK, "total": "2s"})
    begun = time.monotonic()
    with gateway.wire() as wire:
        wire.send(request(gateway, "GET", THING, [f"X-Fault: {kind}", f"X-Id: {new_id()}"]))
        assert wire.read(head=True).status == 200
        with pytest.raises(EOFError):
            while True:
                wire.buffer = b""
                wire._more(begun + 10)
        assert 1.5 <= time.monotonic() - begun < 6
    assert "did not end in time" in cause_of(gateway, 1)[0]
    wait_for(lambda: not upstream.open_links, "the end of the connection to the upstream", 5)
    with gateway.wire() as wire:
        well(gateway, wire)


def test_a_route_has_a_total_of_its_own(front, upstream):
    """The shipped way to give a stream another time limit."""
    def prepare(gateway):
        gateway.written.write("streams.json5", {"routes": {"streams.get": {
            "match": f"GET {THING.replace('org_xyz789', '{organization}')}/stream", "scope": "connectors:read",
            "timeouts": {"total": "1s"}}}})

    gateway = front(upstream, prepare=prepare, timeouts={**QUICK, "total": "60s"})
    begun = time.monotonic()
    with gateway.wire() as wire:
        _, outcome = play(gateway, wire, "stream", path=f"{THING}/stream")
        assert outcome.cut and 0.8 <= time.monotonic() - begun < 5


def test_the_end_of_a_requests_own_time_is_not_blamed_on_the_endpoint(front, upstream):
    """The total deadline passes before the upstream's time for a response is over: the endpoint's health does not change."""
    gateway = front(upstream, timeouts={**QUICK, "responseHead": "30s", "total": "500ms"}, breaker={"consecutiveFailures": 2, "openFor": "60s"})
    with gateway.wire() as wire:
        for _ in range(4):
            _, outcome = play(gateway, wire, "silence")
            assert outcome.answer.status == 504
        well(gateway, wire)
    assert all("did not end in time" in cause for cause in cause_of(gateway, 4, status=504))


def test_a_client_that_takes_no_more_is_cut(front, upstream):
    """A client stops reading; the time limit for writes is longer than the total deadline."""
    gateway = front(upstream, timeouts={**QUICK, "total": "2s"}, gateway={"timeouts": {"write": "60s"}})
    begun = time.monotonic()
    with gateway.wire() as wire:
        wire.send(request(gateway, "GET", THING, ["X-Fault: flood", f"X-Id: {new_id()}"]))
        wait_for(lambda: not upstream.open_links and time.monotonic() - begun > 1, "the end of the answer", 10)
        assert time.monotonic() - begun < 8
    assert "did not end in time" in cause_of(gateway, 1)[0]


def test_a_grant_ends_soon_after_its_token(front, upstream):
    """Requests with an unfinished body or a streaming response, when their organization is removed from the policies."""
    def prepare(gateway):
        gateway.gone = gateway.written.token("gone")

    gateway = front(upstream, prepare=prepare, timeouts={**QUICK, "total": "3s"}, gateway={"timeouts": {"body": "2s"}})
    bodies = [gateway.wire() for _ in range(3)]
    stream = gateway.wire()
    try:
        begun = time.monotonic()
        for wire in bodies:
            wire.send(request(gateway, "GET", THING, ["Transfer-Encoding: chunked"], token=gateway.gone) + PIECE)
        stream.send(request(gateway, "GET", THING, ["X-Fault: stream"], token=gateway.gone))
        assert stream.read(head=True).status == 200
        gateway.written.write("organizations/proof.json5", {"organizations": {}})
        wait_for(lambda: gateway.call("GET", THING, token=gateway.gone).status == 401, "the reload", 10)
        assert time.monotonic() - begun < 2, "the requests are still under way"
        ended = set()
        while len(ended) < len(bodies):
            assert time.monotonic() - begun < 6, "a body goes on"
            for wire in set(bodies) - ended:
                try:
                    wire.send(PIECE)
                    wire._more(time.monotonic() + 0.05)
                    ended.add(wire)
                except TimeoutError:
                    pass
                except (OSError, EOFError):
                    ended.add(wire)
        for wire in bodies:
            assert wire.buffer.startswith(b"HTTP/1.1 408 "), wire.buffer[:200]
        with pytest.raises(EOFError):
            while True:
                stream._more(begun + 7)
    finally:
        for wire in [*bodies, stream]:
            wire.close()
