"""How long the gateway waits for its upstream: according to the policy, and to a route's own settings."""

import contextlib
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import expected
from certificates import server_context
from expected import check_answer
from faulty import Deaf, Upstream
from gateway import BASE, ROOT, wait_for
from metrics import metrics, total
from outcome import Outcome, new_id, request
from proxied import QUICK, THING, behind, play, well
from wire import envelope

pytestmark = [pytest.mark.upstream, pytest.mark.alone]

USUAL = {"connect": "1500ms", "responseHead": "1500ms", "bodyProgress": "1500ms"}
HASTY = dict.fromkeys(USUAL, "300ms")
PATIENT = dict.fromkeys(USUAL, "3s")
# Routes by their own settings; then the minimum and the maximum of seconds for each setting.
OWN = {"hasty": HASTY, "patient": PATIENT, "answers": {"responseHead": "3s"}, "bodies": {"bodyProgress": "3s"},
       "connects": {"connect": "3s"}, "usual": None}
BOUNDS = {"300ms": (0.3, 1.4), "1500ms": (1.5, 2.9), "3s": (3, 6)}


class Stuck(Upstream):
    """Continues only when the tester has the head, however long that takes."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, paced=True, **options)

    def wait_until_relayed(self, identity):
        self._event(identity).wait(30)


@contextlib.contextmanager
def timed(folder, upstream, **settings):
    """A gateway with all these routes."""
    gateway = behind(folder, upstream, start=False, timeouts={**USUAL, "idle": "30s", "queue": "10s"},
                     gateway={"sizes": {"body": "64MiB"}}, **settings)
    matched = f"GET,POST {BASE.replace('org_xyz789', '{organization}')}"
    gateway.written.write("deadlines.json5", {"routes": {
        f"deadlines.{name}": {"match": f"{matched}/{name}", "scope": "connectors:read", "timeouts": own}
        for name, own in OWN.items() if own}})
    try:
        yield gateway.start()
    finally:
        gateway.kill()


def check_times(deadline, tasks):
    """Runs all `tasks` at once: `task(route)` for each route; each must take the time that its route sets for this `deadline`."""
    with ThreadPoolExecutor(len(OWN) * len(tasks)) as pool:
        running = [(task, route, pool.submit(task, route)) for route in OWN for task in tasks]
        for task, route, future in running:
            least, most = BOUNDS[(OWN[route] or {}).get(deadline, USUAL[deadline])]
            assert least <= future.result() <= most, (route, deadline, future.result())


def fails(gateway, upstream, fault, method, row, received=1):
    """A task whose request fails; it returns the time until the response."""
    def task(route):
        with gateway.wire() as wire:
            begun = time.monotonic()
            identity, outcome = play(gateway, wire, fault, method, b"{}" if method == "POST" else None, f"{BASE}/{route}")
            taken = time.monotonic() - begun
            check_answer(outcome, row, identity)
            assert len(upstream.received(identity)) == received and not outcome.answer.closes
            return taken
    return task


LATE = expected.failed("http_response_timeout", 504)


def test_the_head_of_the_answer(tmp_path):
    with Upstream() as upstream, timed(tmp_path, upstream) as gateway:
        check_times("responseHead", [fails(gateway, upstream, fault, method, LATE) for method in ("GET", "POST")
                               for fault in ("hang-before-head", "hang-mid-head")])
        wait_for(lambda: not upstream.open_links, "the end of the connections that were given up", 5)


def test_the_body_of_the_answer(tmp_path):
    """Measured from its last piece; the client has the head, so its response ends early."""
    def cut(fault):
        def task(route):
            with gateway.wire() as wire:
                begun = time.monotonic()
                identity, outcome = play(gateway, wire, fault, path=f"{BASE}/{route}", on_head=upstream.relayed)
                check_answer(outcome, expected.CUT, identity)
                return time.monotonic() - begun
        return task

    with Upstream(paced=True) as upstream, timed(tmp_path, upstream) as gateway:
        check_times("bodyProgress", [cut("hang-mid-body"), cut("hang-after-head"), cut("hang-before-last-chunk")])
        wait_for(lambda: not upstream.open_links, "the end of the connections that were given up", 5)


def test_the_body_of_the_request(tmp_path):
    """The upstream reads only the head: a body larger than the sockets' buffers gets stuck."""
    def task(route):
        identity, size = new_id(), 48 << 20
        with gateway.wire() as wire:
            begun = time.monotonic()
            fields = ["X-Fault: body-never-read", f"X-Id: {identity}", f"Content-Length: {size}"]
            wire.send(request(gateway, "POST", f"{BASE}/{route}", fields))
            wire.socket.settimeout(0.2)
            with contextlib.suppress(OSError):
                while size > 0:
                    size -= wire.socket.send(b"x" * 65536)
            assert size > 0, "all of it was taken"
            outcome = Outcome(wire, "POST")
            taken = time.monotonic() - begun
            upstream.relayed(identity)
            check_answer(outcome, LATE, identity)
            assert len(upstream.received(identity)) == 1
            return taken

    with Stuck() as upstream, timed(tmp_path, upstream) as gateway:
        check_times("bodyProgress", [task])


@pytest.mark.parametrize("encrypted", [False, True])
def test_the_connection(tmp_path, encrypted):
    """The connection is not accepted, or the handshake does not begin."""
    row = expected.failed("connection_timeout", 504)
    if not encrypted:
        with Deaf() as upstream, timed(tmp_path, upstream) as gateway:
            return check_times("connect", [fails(gateway, upstream, "well", method, row, 0) for method in ("GET", "POST")])
    subprocess.run([ROOT / "Tests/Scripts/make-certs.sh", tmp_path / "tls"], check=True, stdin=subprocess.DEVNULL)
    authorities = {"authorities": f"{tmp_path}/tls/ca.pem"}
    context = server_context(tmp_path / "tls", "localhost")
    with Upstream(context, accept="hang-after-accept") as upstream, timed(tmp_path, upstream, tls=authorities) as gateway:
        check_times("connect", [fails(gateway, upstream, "well", method, row, 0) for method in ("GET", "POST")])


def test_the_queue(tmp_path):
    """A queued request waits 800 ms at most, and its refusal has a Retry-After; with a full queue the refusal comes at once."""
    timeouts = {**QUICK, "responseHead": "20s", "queue": "800ms"}
    with Upstream() as upstream:
        gateway = behind(tmp_path, upstream, connections={"inFlight": 1, "queue": 2}, timeouts=timeouts)
        try:
            with gateway.wire() as holder, gateway.wire() as late, ThreadPoolExecutor(2) as pool:
                holder.send(request(gateway, "GET", THING, ["X-Fault: hang-before-head", "X-Id: holder"]))
                wait_for(lambda: upstream.received("holder"), "the request that has the place")
                waiting = [pool.submit(refused, gateway, method) for method in ("GET", "POST")]
                wait_for(lambda: total(metrics(gateway), "requests_pending") == 2, "the requests that wait")
                assert refused(gateway, "GET") < 0.6
                for one in waiting:
                    assert 0.8 <= one.result() <= 2.5
                assert [one.id for one in upstream.received()] == ["holder"], "what was refused was not sent"
                holder.close()
                wait_for(lambda: play(gateway, late, "well")[1].answer.status == 200, "the place, once its client has left")
                well(gateway, late)
        finally:
            gateway.kill()


def refused(gateway, method):
    """Sends a request for which there is no permit; returns the time until the refusal."""
    with gateway.wire() as wire:
        begun = time.monotonic()
        _, outcome = play(gateway, wire, "well", method, b"{}" if method == "POST" else None)
        taken = time.monotonic() - begun
        envelope(outcome.answer, 503, "SERVICE_UNAVAILABLE")
        assert outcome.proxy_status == {"error": "connection_limit_reached"} and not outcome.answer.closes
        assert 1 <= int(outcome.answer["retry-after"]) <= 60
        return taken
