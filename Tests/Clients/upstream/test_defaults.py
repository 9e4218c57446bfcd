"""The deadlines of a gateway whose policy sets none. The longest takes 75 s, which run in parallel to all other tests:
the first test of a run starts the requests, the last one checks their results."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import expected
from expected import check_answer
from faulty import Deaf, Upstream
from gateway import CONNECTION, JOBS, wait_for
from proxied import THING, behind, play, well

pytestmark = pytest.mark.upstream
TRIGGER = b'{"connection_id": "%s", "job_type": "sync"}' % CONNECTION.encode()
LATE = expected.failed("http_response_timeout", 504)
# The request, the expected result, and the minimum and maximum of seconds until it.
SLOW = {
    "a write": ("hang-before-head", "POST", THING, b"{}", LATE, (75, 80)),
    "a trigger": ("hang-before-head", "POST", JOBS, TRIGGER, LATE, (75, 80)),
    "a read": ("hang-before-head", "GET", THING, None, LATE, (75, 80)),
    "interim answers prolong nothing": ("interim-then-hang", "POST", THING, b"{}", LATE._replace(interims=(102,)), (75, 80)),
    "a body that stops": ("hang-mid-body", "GET", THING, None, expected.CUT, (30, 35)),
    "a body in chunks that stops": ("hang-mid-chunk", "POST", THING, b"{}", expected.CUT, (30, 35)),
}


class Waits:
    """Starts all requests of `SLOW` at one gateway, and one at a gateway without a reachable upstream."""

    def __init__(self, folder, stack):
        self.upstream, deaf = stack.enter_context(Upstream()), stack.enter_context(Deaf())
        self.gateway, self.connecting = (
            silent_about_deadlines(folder / name, one) for name, one in (("slow", self.upstream), ("deaf", deaf)))
        pool = stack.enter_context(ThreadPoolExecutor(len(SLOW) + 1))
        for gateway in (self.gateway, self.connecting):
            stack.callback(gateway.kill)
            gateway.start()
        self.outcomes = {name: pool.submit(self.wait, self.gateway, *row[:4]) for name, row in SLOW.items()}
        self.connection = pool.submit(self.wait, self.connecting, "well", "POST", THING, b"{}")

    def wait(self, gateway, fault, method, path, body):
        with gateway.wire(deadline=100) as wire:
            begun = time.monotonic()
            identity, outcome = play(gateway, wire, fault, method, body, path)
            return identity, outcome, time.monotonic() - begun


def silent_about_deadlines(folder, upstream):
    gateway = behind(folder, upstream, start=False)
    del gateway.written.gateway["upstream"]["timeouts"]
    gateway.written.settings()
    return gateway


@pytest.fixture(scope="session")
def waits(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield Waits(tmp_path_factory.mktemp("defaults"), stack)


@pytest.mark.begins
def test_nobody_is_given_up_at_once(waits):
    wait_for(lambda: len(waits.upstream.received()) == len(SLOW), "the requests")
    begun = time.monotonic()
    with waits.gateway.wire() as wire:
        link = waits.upstream.link_of(well(waits.gateway, wire))
    wait_for(link.over.is_set, "the end of a connection that nobody uses")
    assert 4 <= time.monotonic() - begun <= 8 and link.end == "FIN"
    identity, outcome, taken = waits.connection.result()
    check_answer(outcome, expected.failed("connection_timeout", 504), identity)
    assert 2 <= taken <= 4
    assert not any(one.done() for one in waits.outcomes.values())


@pytest.mark.ends
@pytest.mark.parametrize("name", SLOW)
def test_the_default_deadlines(waits, name):
    row, (least, most) = SLOW[name][4:]
    identity, outcome, taken = waits.outcomes[name].result()
    check_answer(outcome, row, identity)
    assert least <= taken <= most
    assert len(waits.upstream.received(identity)) == 1, "sent once, whatever came of it"
