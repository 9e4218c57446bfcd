"""One organization that takes as much of shared resources as it can, beside a quiet one whose requests must all succeed."""

import json
import time

import pytest

from connectors import Connectors
from gateway import CONNECTION, JOBS, STATE, wait_for
from jobs_upstream import Caller, JobUpstream
from metrics import metrics, total
from outcome import new_id, request
from proxied import THING

pytestmark = [pytest.mark.upstream, pytest.mark.alone]

QUIET = "org_quiet"
QUIET_JOBS = JOBS.replace("org_xyz789", QUIET)
# Few permits, so that a few connections can take them all.
SMALL = {"connections": {"inFlight": 8, "queue": 4}}
PATIENT = {"connect": "2s", "responseHead": "30s", "bodyProgress": "30s", "idle": "30s", "queue": "700ms"}


@pytest.fixture
def upstream():
    with JobUpstream() as one:
        yield one


@pytest.fixture
def beside(front):
    """Starts a gateway with a token of the quiet organization, and a read-only token of the hostile one."""
    def prepare(gateway):
        gateway.quiet = gateway.written.token("quiet", organization=QUIET)
        gateway.hostile = gateway.written.token("hostile", ["connectors:read"])
        gateway.writer = gateway.written.token("writer", ["connectors:write"])

    def start(upstream, **settings):
        return front(upstream, prepare=prepare, **{"timeouts": PATIENT, **settings})

    return start


class Crowd:
    """Many connections of one attacker."""

    def __init__(self, gateway, count, data):
        self.wires = [gateway.wire() for _ in range(count)]
        for wire in self.wires:
            wire.send(data)

    def send(self, data):
        for wire in self.wires:
            try:
                wire.send(data)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for wire in self.wires:
            wire.close()


def head(gateway, method, path, *fields, token):
    return request(gateway, method, path, [f"X-Id: {new_id()}", *fields], token=token)


def quiet_thing(gateway, wire=None):
    return gateway.call("GET", THING.replace("org_xyz789", QUIET), token=gateway.quiet, wire=wire)


def all_served(gateway, between=lambda: None, count=30):
    with gateway.wire() as wire:
        for number in range(count):
            answer = quiet_thing(gateway, wire)
            assert answer.status == 200, f"request {number}: {answer}"
            between()


def of(gateway, name, organization):
    return total(metrics(gateway), name, f'"{organization}"') or 0


def places(gateway, organization):
    return of(gateway, "gateway_upstream_permits_in_use", organization)


def test_trickled_bodies_take_no_place(beside, upstream):
    """24 reads with a chunked body that arrives byte by byte: twice the permits and queue entries together."""
    gateway = beside(upstream, **SMALL)
    with Crowd(gateway, 24, head(gateway, "GET", THING, "Transfer-Encoding: chunked", token=gateway.hostile) + b"1\r\nx\r\n") as crowd:
        time.sleep(0.3)
        all_served(gateway, lambda: crowd.send(b"1\r\nx\r\n"))
        assert [one for one in upstream.received() if one["transfer-encoding"]] == []
        assert places(gateway, "org_xyz789") == 0


def test_held_answers_leave_places(beside, upstream):
    """24 reads of one token to which the upstream does not respond: others keep their share of permits and queue entries."""
    gateway = beside(upstream, **SMALL)
    with Crowd(gateway, 24, head(gateway, "GET", THING, "X-Fault: hang-before-head", token=gateway.hostile)):
        wait_for(lambda: total(metrics(gateway), "in_flight") >= 6, "the places that one organization can have")
        all_served(gateway)
        # Within the organization, its other token gets a permit, too.
        with gateway.wire() as wire:
            assert gateway.call("GET", THING, wire=wire).status == 200
        assert places(gateway, "org_xyz789") >= 6


def test_the_gateways_own_questions_need_no_clients_place(beside, upstream):
    """A job ends while all permits are in use: its connection is free soon nevertheless."""
    gateway = beside(upstream, **SMALL)
    caller = Caller(gateway)
    assert caller.trigger("job_1").status == 200
    with Crowd(gateway, 24, head(gateway, "GET", THING, "X-Fault: hang-before-head", token=gateway.hostile)):
        wait_for(lambda: total(metrics(gateway), "in_flight") >= 6, "the places that one organization can have")
        upstream.ends("job_1")
        wait_for(lambda: total(metrics(gateway), "gateway_leases{") == 0, "the end of the lease", 12)


def cut(wire, within):
    """Checks that the request is refused because its body is too slow; returns how long that took."""
    begun = time.monotonic()
    answer = wire.final(deadline=within)
    assert answer.status == 408 and answer.closes, answer
    return time.monotonic() - begun


def test_a_body_that_has_a_place_must_move(beside, upstream):
    """A body that arrives fast until the request has a permit, and then byte by byte."""
    gateway = beside(upstream, gateway={"timeouts": {"bodyProgress": "1s"}}, **SMALL)
    with gateway.wire() as wire:
        wire.send(head(gateway, "PUT", f"{THING}", "Transfer-Encoding: chunked", token=None) + b"11170\r\n" + b"x" * 0x11170 + b"\r\n")
        wait_for(lambda: places(gateway, "org_xyz789") == 1, "its place")
        until = time.monotonic() + 8
        wire.socket.settimeout(0.3)
        while time.monotonic() < until:
            try:
                wire.send(b"1\r\nx\r\n")
                wire._more(time.monotonic() + 0.3)
                break
            except TimeoutError:
                continue
        cut(wire, 1)
        wait_for(lambda: places(gateway, "org_xyz789") == 0, "the end of it")


def test_what_frames_a_body_is_no_progress(beside, upstream):
    """A chunk extension that arrives byte by byte, without any byte of the body."""
    gateway = beside(upstream, gateway={"timeouts": {"bodyProgress": "1s"}})
    with gateway.wire() as wire:
        wire.send(head(gateway, "GET", THING, "Transfer-Encoding: chunked", token=gateway.hostile) + b"1;")
        until = time.monotonic() + 4
        while time.monotonic() < until and not wire.buffer:
            wire.send(b"a")
            try:
                wire._more(time.monotonic() + 0.2)
            except TimeoutError:
                pass
        assert wire.buffer, "the body goes on"
        cut(wire, 1)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_a_body_has_a_deadline_in_total(beside, upstream, method):
    """A body that always makes progress, and never ends."""
    gateway = beside(upstream, gateway={"timeouts": {"body": "2s"}})
    with gateway.wire() as wire:
        wire.send(head(gateway, method, THING, "Transfer-Encoding: chunked", token=None))
        begun = time.monotonic()
        while not wire.buffer:
            assert time.monotonic() - begun < 8, "the body goes on"
            try:
                wire.send(b"400\r\n" + b"x" * 0x400 + b"\r\n")
                wire._more(time.monotonic() + 0.1)
            except TimeoutError:
                pass
        answer = wire.final(head=method == "HEAD")
        assert answer.status == 408 and answer.closes, answer
        assert time.monotonic() - begun >= 1.5


def test_a_state_update_locks_after_its_body(beside, upstream):
    """Endless state updates with a token that may only write: the connection is free for others."""
    gateway = beside(upstream)
    with Crowd(gateway, 3, head(gateway, "PATCH", STATE, "Content-Type: application/json", "Transfer-Encoding: chunked",
                                token=gateway.writer) + b"1\r\n{\r\n") as crowd:
        for number in range(5):
            crowd.send(b"1\r\n \r\n")
            assert total(metrics(gateway), "gateway_leases{") == 0
            answer = Caller(gateway, f"{CONNECTION}").trigger(f"job_{number}")
            assert answer.status == 200, answer
            upstream.ends(f"job_{number}")
            wait_for(lambda: total(metrics(gateway), "gateway_leases{") == 0, "the end of the job", 10)


# More than the memory limit, to the last 128 KiB.
ANNOUNCED = [10 << 20] * 25 + [1 << 20] * 5 + [1 << 17] * 10


def test_announced_bodies_take_no_memory(start, policies):
    """More body bytes are announced than there is memory for; one byte of each body is sent."""
    quiet = policies.generous().token("quiet", organization=QUIET)
    gateway = start(policies)
    crowd = [gateway.wire() for _ in ANNOUNCED]
    try:
        for wire, size in zip(crowd, ANNOUNCED):
            wire.send(head(gateway, "PATCH", STATE, "Content-Type: application/json", f"Content-Length: {size}", token=None) + b"{")
        for _ in range(10):
            answer = gateway.call("POST", QUIET_JOBS, {"padding": "x" * 200_000}, token=quiet)
            assert answer.status == 422, answer
    finally:
        for wire in crowd:
            wire.close()


def state_update(gateway, size):
    body = json.dumps({"padding": "x" * size}).encode()
    return gateway.call("PATCH", STATE.replace("org_xyz789", QUIET), body, token=gateway.quiet)


def body_bytes(gateway, organization):
    return of(gateway, "gateway_body_bytes", organization)


def test_memory_for_bodies_is_shared(beside, upstream):
    """Bodies without their last byte, small and large ones, more than there is memory for."""
    gateway = beside(upstream, gateway={"sizes": {"bodyMemory": "4MiB"}})
    fields = head(gateway, "PATCH", STATE, "Content-Type: application/json", "Content-Length: 60000", token=gateway.writer)
    large = head(gateway, "PATCH", STATE, "Content-Type: application/json", "Content-Length: 1000000", token=None)
    with Crowd(gateway, 60, fields + b" " * 59_999), Crowd(gateway, 3, large + b" " * 999_999):
        wait_for(lambda: body_bytes(gateway, "org_xyz789") > 3 << 20, "the memory that one organization can have")
        for _ in range(20):
            answer = state_update(gateway, 100_000)
            assert answer.status == 200, answer
        assert body_bytes(gateway, "org_xyz789") <= 4 << 20
    wait_for(lambda: body_bytes(gateway, "org_xyz789") == 0, "the end of it")


def test_announced_bodies_at_the_connector_service(tmp_path):
    """The same at the connector service, where the gateway's field names the organization."""
    service = Connectors(tmp_path / "connectors").start()
    try:
        crowd = [service.wire() for _ in ANNOUNCED]
        for wire, size in zip(crowd, ANNOUNCED):
            wire.send(f"PATCH {STATE} HTTP/1.1\r\nHost: x\r\nX-Gateway-Organization: org_xyz789\r\n"
                      f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n{{")
        for _ in range(10):
            answer = service.call("POST", QUIET_JOBS, {"padding": "x" * 200_000},
                                  headers={"X-Gateway-Organization": QUIET})
            assert answer.status in (400, 404, 422), answer
        for wire in crowd:
            wire.close()
    finally:
        service.kill()
