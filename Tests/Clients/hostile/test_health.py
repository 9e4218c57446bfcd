"""No organization can take the upstream from others: errors that it provokes do not prove that an endpoint is down."""

import json
import re
import threading
import time

import pytest

from faulty import FAULTS, Refusing, Upstream, answer
from gateway import wait_for
from metrics import metrics, total
from outcome import new_id, request
from proxied import QUICK, THING

pytestmark = [pytest.mark.upstream, pytest.mark.alone]
OTHER = "org_b"
OTHER_THING = THING.replace("org_xyz789", OTHER)


class Partial(Upstream):
    """Serves all organizations except the selected ones, which get the fault instead."""

    faults = {}

    def play(self, link, request):
        for organization, play in self.faults.items():
            if f"/{organization}/" in request.target:
                return play(link, request)
        FAULTS["well"](link, request)


def maintenance(link, request):
    answer(link, request, b"{}", "503 Service Unavailable")


def never(link, request):
    link.hang()


@pytest.fixture
def upstream():
    with Partial() as upstream:
        yield upstream


def neighbour(gateway):
    """A token of another organization."""
    return gateway.written.token("quiet", organization=OTHER, scopes=("connectors:read", "connectors:write"))


def get(gateway, wire, path, token=None):
    wire.send(request(gateway, "GET", path, [f"X-Id: {new_id()}"], token=token))
    return wire.final().status


class Beside:
    """Threads that send requests without pause, each over its own connection."""

    def __init__(self, gateway, count):
        self.gateway, self.over, self.statuses = gateway, threading.Event(), []
        self.threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]

    def _ask(self):
        while not self.over.is_set():
            try:
                with self.gateway.wire() as wire:
                    while not self.over.is_set():
                        self.statuses.append(get(self.gateway, wire, THING))
            except (OSError, EOFError):
                time.sleep(0.05)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(10)


def served(gateway, token, seconds):
    """Checks the responses that a quiet organization gets at the same time."""
    statuses, until = [], time.monotonic() + seconds
    with gateway.wire() as wire:
        while time.monotonic() < until:
            statuses.append(get(gateway, wire, OTHER_THING, token))
            time.sleep(0.02)
    return statuses


def pair(front, *upstreams, **settings):
    tokens = []
    gateway = front(*upstreams, prepare=lambda gateway: tokens.append(neighbour(gateway)), **settings)
    return gateway, tokens[0]


def test_the_503_of_one_organization_is_nobody_elses(front, upstream):
    """An organization whose tenant is in maintenance sends requests all the time; another one is served all the time."""
    upstream.faults = {"org_xyz789": maintenance}
    gateway, token = pair(front, upstream, breaker={"consecutiveFailures": 5, "openFor": "30s"})
    with Beside(gateway, 6) as attack:
        wait_for(lambda: len(attack.statuses) > 50, "the attack")
        statuses = served(gateway, token, 3)
    assert set(statuses) == {200} and len(statuses) > 20, statuses
    assert set(attack.statuses) == {503}
    assert total(metrics(gateway), "gateway_upstream_ejections_total") == 0


def test_a_503_that_says_when_reaches_who_it_is_for(front, upstream):
    """`Retry-After` reaches the organization that it is for, and no other one waits."""
    upstream.faults = {"org_xyz789": lambda link, request: answer(
        link, request, b"{}", "503 Service Unavailable", "Retry-After: 7")}
    gateway, token = pair(front, upstream, breaker={"consecutiveFailures": 1, "openFor": "30s"})
    with gateway.wire() as wire:
        for _ in range(20):
            wire.send(request(gateway, "GET", THING))
            refused = wire.final()
            assert refused.status == 503 and refused["retry-after"] == "7"
            assert get(gateway, wire, OTHER_THING, token) == 200


def test_the_slow_reports_of_one_organization_are_nobody_elses(front, upstream):
    """Requests of one organization that all time out at once do not take the endpoint from another one."""
    upstream.faults = {"org_xyz789": never}
    gateway, token = pair(front, upstream, breaker={"consecutiveFailures": 5, "openFor": "30s"}, timeouts={**QUICK, "responseHead": "300ms"})
    assert set(served(gateway, token, 0.2)) == {200}
    with Beside(gateway, 8) as attack:
        wait_for(lambda: len(attack.statuses) > 16, "the attack")
        statuses = served(gateway, token, 3)
    assert set(statuses) == {200} and len(statuses) > 20, statuses
    assert set(attack.statuses) == {504}


def test_what_ejects_is_told(front, upstream):
    """One of two endpoints refuses connections: it is ejected, this is logged and shown, and all requests are served."""
    with Refusing() as dead:
        gateway = front(upstream, dead, breaker={"consecutiveFailures": 2, "openFor": "1s"})
        with gateway.wire() as wire:
            assert {get(gateway, wire, THING) for _ in range(30)} == {200}
            line = rf"upstream {re.escape(dead.url)} at 127\.0\.0\.1:{dead.port} is ejected for 1\.0 seconds: the connection was refused"
            wait_for(lambda: re.search(line, gateway.output), "the line that tells it")
            shown = metrics(gateway)
            assert total(shown, "gateway_upstream_endpoint_ejected", str(dead.port)) == 1
            assert total(shown, "gateway_upstream_endpoint_ejected", str(upstream.port)) == 0
            assert total(shown, "gateway_upstream_ejections_total", str(dead.port)) >= 1
            dead.keeper.listen()
            threading.Thread(target=greet, args=(dead.keeper,), daemon=True).start()
            wait_for(
                lambda: get(gateway, wire, THING) == 200 and "is readmitted" in gateway.output, "the line that it is back")
        assert total(metrics(gateway), "gateway_upstream_endpoint_ejected") == 0


def greet(listener):
    """Sends a response on each connection, whatever arrives."""
    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        with accepted:
            accepted.recv(65536)
            body = json.dumps({"greeting": True}).encode()
            accepted.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def test_half_of_the_endpoints_stay(front):
    """If all endpoints refuse connections, or one of two, at most half of them are ejected."""
    with Refusing() as one, Refusing() as other:
        gateway = front(one, other, breaker={"consecutiveFailures": 2, "openFor": "30s"})
        with gateway.wire() as wire:
            assert {get(gateway, wire, THING) for _ in range(20)} == {502}
        assert total(metrics(gateway), "gateway_upstream_endpoint_ejected") == 1
        assert len(re.findall(r"stays in use although", gateway.output)) == 1
