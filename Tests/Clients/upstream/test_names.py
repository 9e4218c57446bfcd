"""The upstream's host name: refreshed, removed, never resolved, with several addresses, and without a response."""

import socket
import threading
import time

import pytest

import names
from faulty import Refusing, Upstream, head
from gateway import wait_for
from outcome import Outcome, request
from proxied import THING, behind, play, well
from wire import envelope

pytestmark = [
    pytest.mark.alone,
    pytest.mark.upstream,
    pytest.mark.skipif(not names.unshare(), reason="no mount namespaces here: an /etc/hosts of one's own needs one"),
]
FIRST, SECOND = "127.0.0.1", "127.0.0.2"


@pytest.fixture
def pair():
    """Two upstreams on the same port of two addresses."""
    with Upstream() as first, Upstream(host=SECOND, port=first.port) as second:
        yield first, second


@pytest.fixture
def named(tmp_path):
    """Starts gateways whose upstream is a name, with their own files for its addresses."""
    running = []

    def start(port, *addresses, server=None, **settings):
        folder = tmp_path / str(len(running))
        folder.mkdir()
        etc = names.Names(folder / "etc", server)
        etc.of(*addresses)
        gateway = behind(folder, f"http://{names.NAME}:{port}", start=False, **settings)
        running.append(etc.around(gateway))
        gateway.start()
        assert names.namespace(gateway.process.pid) != names.namespace(), "the hosts file of this machine stays as it is"
        return gateway, etc

    yield start
    for gateway in running:
        gateway.kill()


def answers(gateway, wire, *upstreams, method="GET"):
    """Sends a good request; returns the upstream that received it."""
    identity, outcome = play(gateway, wire, "well", method, None if method == "GET" else b"{}")
    assert outcome.answer.status == 200 and not outcome.cut, outcome.answer
    counts = [len(upstream.received(identity)) for upstream in upstreams]
    assert sum(counts) == 1, counts
    return upstreams[counts.index(1)]


def unresolved(outcome, status, error):
    envelope(outcome.answer, status, {502: "BAD_GATEWAY", 504: "GATEWAY_TIMEOUT"}[status])
    assert outcome.proxy_status == {"error": error} and not outcome.answer.closes


def test_requests_follow_the_name(named, pair):
    """To another address and back, without a restart or a failed request; a name that stops resolving changes nothing."""
    first, second = pair
    gateway, etc = named(first.port, FIRST, dnsRefresh="1s")
    with gateway.wire() as wire:
        for _ in range(5):
            assert answers(gateway, wire, *pair) is first
        assert first.received()[0]["host"] == f"{names.NAME}:{first.port}", "the name, not the address"
        etc.of(SECOND)
        wait_for(lambda: answers(gateway, wire, *pair) is second, "the other address", 10)
        for method in ("GET", "POST") * 5:
            assert answers(gateway, wire, *pair, method=method) is second
        wait_for(lambda: not first.open_links, "the end of the connections to the old address", 5)
        etc.of()
        wait_for(lambda: "the host name does not resolve" in gateway.output, "the line that tells it", 10)
        for method in ("GET", "POST") * 5:
            assert answers(gateway, wire, *pair, method=method) is second
        etc.of(FIRST)
        wait_for(lambda: "the host name resolves again" in gateway.output, "the line that tells it", 10)
        wait_for(lambda: answers(gateway, wire, *pair) is first, "the first address", 10)
        assert gateway.output.count("does not resolve") == 1, "told once, not with every lookup"


def test_an_address_stays_until_the_interval_has_passed(named, pair):
    """A lookup before the end of the interval would bring the second address at once."""
    first, second = pair
    gateway, etc = named(first.port, FIRST, dnsRefresh="4s")
    begun = time.monotonic()
    with gateway.wire() as wire:
        assert answers(gateway, wire, *pair) is first
        # The gateway also resolves the name at its start: later changes wait for the interval.
        wait_for(lambda: time.monotonic() - begun > 1, "the lookups of the start")
        etc.of(SECOND)
        changed = time.monotonic()
        wait_for(lambda: answers(gateway, wire, *pair) is second, "the other address", 12)
        assert 1 < time.monotonic() - changed < 8


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_name_that_never_resolved(named, pair, method):
    """A request fails at once instead of hanging; and the next lookup is soon, however long the interval is."""
    first, _ = pair
    gateway, etc = named(first.port, dnsRefresh="1h")
    with gateway.wire() as wire:
        for _ in range(3):
            begun = time.monotonic()
            identity, outcome = play(gateway, wire, "well", method, None if method == "GET" else b"{}")
            assert time.monotonic() - begun < 1
            unresolved(outcome, 502, "dns_error")
            assert first.received(identity) == []
        assert gateway.admin("/readyz")[0] == 200, "the gateway itself is well"
        etc.of(FIRST)
        wait_for(lambda: play(gateway, wire, "well", method)[1].answer.status == 200, "the name", 10)
        well(gateway, wire)


def test_all_addresses_of_a_name_are_used_and_one_may_be_dead(named, pair):
    first, second = pair
    gateway, _ = named(first.port, FIRST, SECOND, dnsRefresh="1s")
    with gateway.wire() as wire:
        for _ in range(20):
            answers(gateway, wire, *pair)
        assert min(len(first.received()), len(second.received())) >= 5
        second.stop()
        for method in ("GET", "POST") * 10:
            assert answers(gateway, wire, *pair, method=method) is first
        with Upstream(host=SECOND, port=first.port) as again:
            wait_for(lambda: answers(gateway, wire, first, again) is again, "the other address, alive again", 10)


def test_an_address_is_added_and_taken_away(named, pair):
    """Addresses that stay keep their connections."""
    first, second = pair
    gateway, etc = named(first.port, FIRST, dnsRefresh="1s")
    with gateway.wire() as wire:
        answers(gateway, wire, *pair)
        link = first.links[0]
        etc.of(FIRST, SECOND)
        wait_for(lambda: answers(gateway, wire, *pair) is second, "the address that has come", 10)
        etc.of(FIRST)
        wait_for(lambda: second.links and not second.open_links, "the end of the address that has gone, also without requests", 10)
        for _ in range(5):
            assert answers(gateway, wire, *pair) is first
        assert first.links == [link], "no connection but the first was made to the address that stayed"


class Patient(Upstream):
    """Sends each response in two halves, the second after a signal."""

    def __init__(self):
        super().__init__()
        self.told = threading.Event()

    def play(self, link, request):
        link.send(head(request, "200 OK", "Content-Length: 10") + b"first")
        self.told.wait(30)
        link.send(b"other")


def test_a_request_outlives_its_address(named):
    """A response in progress when the name moves is completed."""
    with Patient() as first, Upstream(host=SECOND, port=first.port) as second:
        gateway, etc = named(first.port, FIRST, dnsRefresh="1s", timeouts={"bodyProgress": "30s"})
        with gateway.wire() as wire, gateway.wire() as other:
            wire.send(request(gateway, "GET", THING))
            wait_for(first.received, "the request")
            etc.of(SECOND)
            wait_for(lambda: "127.0.0.2" in gateway.admin("/metrics")[1], "the other address", 10)
            assert answers(gateway, other, second) is second
            first.told.set()
            outcome = Outcome(wire, "GET")
            assert outcome.answer.status == 200 and outcome.answer.body == b"firstother" and not outcome.cut


@pytest.mark.parametrize("refuses", [True, False])
def test_a_name_service_that_does_not_say(named, refuses):
    """It refuses, or never responds: the gateway starts, and requests get their response at once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, Refusing() as nobody:
        try:
            silent.bind(("127.0.0.77", 53))
        except OSError as error:
            pytest.skip(f"no name service of one's own: {error}")
        begun = time.monotonic()
        gateway, _ = named(nobody.port, server="127.0.0.78" if refuses else "127.0.0.77")
        assert time.monotonic() - begun < 10, "the start waits for a name, but not for ever"
        if not refuses:
            silent.setblocking(False)
            assert b"connectors\x04test" in silent.recv(512), "it was asked"
        with gateway.wire() as wire:
            for method in ("GET", "POST") * 2:
                begun = time.monotonic()
                outcome = play(gateway, wire, "well", method, None if method == "GET" else b"{}")[1]
                assert time.monotonic() - begun < 1
                unresolved(outcome, 504, "dns_timeout")
