"""The choice of an endpoint, and the requests that reach it: breakers, health checks, permits, clients that leave."""

import pytest

from faulty import Upstream
from gateway import CONNECTION, JOBS, wait_for
from metrics import metrics, total
from outcome import Outcome, new_id, request
from proxied import QUICK, THING, play, well
from wire import envelope

pytestmark = pytest.mark.upstream


@pytest.fixture
def upstream():
    with Upstream() as upstream:
        yield upstream


def refused(outcome, reason):
    envelope(outcome.answer, 503, "SERVICE_UNAVAILABLE")
    assert outcome.proxy_status == {"error": reason} and int(outcome.answer["retry-after"]) >= 1
    assert not outcome.answer.closes


def test_a_breaker_opens_and_closes(front, upstream):
    gateway = front(upstream, breaker={"consecutiveFailures": 3, "openFor": "1s"})
    with gateway.wire() as wire:
        for _ in range(3):
            assert play(gateway, wire, "close-mid-head")[1].answer.status == 502
        identity, outcome = play(gateway, wire, "well")
        refused(outcome, "destination_unavailable")
        assert upstream.received(identity) == [], "an endpoint that is out is left alone"
        wait_for(lambda: play(gateway, wire, "well")[1].answer.status == 200, "one request that tries", 10)
        for _ in range(5):
            well(gateway, wire)


def test_a_503_says_when_the_endpoint_is_tried_again(front, upstream):
    gateway = front(upstream, breaker={"consecutiveFailures": 3, "openFor": "20s"})
    with gateway.wire() as wire:
        for _ in range(3):
            assert play(gateway, wire, "close-mid-head")[1].answer.status == 502
        _, outcome = play(gateway, wire, "well")
        refused(outcome, "destination_unavailable")
        assert 10 <= int(outcome.answer["retry-after"]) <= 20


@pytest.mark.parametrize("fault", ["error-401", "error-detail-object", "error-429", "error-500", "error-418", "error-empty"])
def test_answers_are_no_failures(front, upstream, fault):
    """409, 429 and every other response except 502, 503 and 504."""
    gateway = front(upstream, breaker={"consecutiveFailures": 2, "openFor": "10s"})
    with gateway.wire() as wire:
        for _ in range(6):
            assert play(gateway, wire, fault)[1].proxy_status.get("received-status")
        well(gateway, wire)


def test_a_success_forgets_failures(front, upstream):
    gateway = front(upstream, breaker={"consecutiveFailures": 3, "openFor": "10s"})
    with gateway.wire() as wire:
        for _ in range(4):
            for _ in range(2):
                assert play(gateway, wire, "error-503")[1].answer.status == 503
            well(gateway, wire)


def test_one_bad_endpoint_of_two(front, upstream):
    """It fails some requests; then it is ejected, and the other endpoint serves them all."""
    with Upstream(accept="accept-then-close") as bad:
        gateway = front(upstream, bad, breaker={"consecutiveFailures": 2, "openFor": "30s"})
        with gateway.wire() as wire:
            statuses = [play(gateway, wire, "well", "POST", b"{}")[1].answer.status for _ in range(30)]
        assert statuses.count(502) <= 2 and statuses[-20:] == [200] * 20, statuses
        assert bad.received() == []


def test_endpoints_take_turns(front, upstream):
    with Upstream() as other:
        gateway = front(upstream, other)
        with gateway.wire() as wire:
            for _ in range(20):
                well(gateway, wire)
        assert len(upstream.received()) >= 5 and len(other.received()) >= 5


def test_health_checks(front, upstream):
    """An endpoint that fails its checks is ejected before a request reaches it, and comes back without a request."""
    check = {"path": "/up?x=1", "interval": "100ms", "timeout": "500ms", "healthy": 2, "unhealthy": 2}
    gateway = front(upstream, health=check)
    asked = wait_for(lambda: [one for one in upstream.received() if one.target == "/up?x=1"], "the first check")
    assert asked[0].method == "GET" and asked[0]["authorization"] is None
    with gateway.wire() as wire:
        well(gateway, wire)
        upstream.accept = "accept-then-close"
        upstream.disconnect()
        wait_for(lambda: play(gateway, wire, "well")[1].proxy_status == {"error": "destination_unavailable"}, "it is out", 10)
        upstream.accept = None
        wait_for(lambda: play(gateway, wire, "well")[1].answer.status == 200, "it is back", 10)


def test_places_and_the_queue_for_them(front, upstream):
    gateway = front(upstream, connections={"inFlight": 1, "queue": 1}, timeouts={**QUICK, "responseHead": "10s", "queue": "3s"})
    first, second, third = gateway.wire(), gateway.wire(), gateway.wire()
    with first, second, third:
        first.send(request(gateway, "GET", THING, ["X-Fault: hang-before-head", "X-Id: first"]))
        wait_for(lambda: upstream.received("first"), "the request that has the place")
        second.send(request(gateway, "GET", THING, ["X-Fault: well", f"X-Id: {new_id()}"]))
        wait_for(lambda: total(metrics(gateway), "requests_pending") == 1, "the request that waits")
        refused(play(gateway, third, "well")[1], "connection_limit_reached")
        refused(Outcome(second, "GET"), "connection_limit_reached")
        first.close()
        wait_for(lambda: play(gateway, third, "well")[1].answer.status == 200, "the place, once its client has left")


def test_a_trigger_whose_client_left_before_it_was_sent_is_not_sent(front, upstream):
    gateway = front(upstream, connections={"inFlight": 1, "queue": 1}, timeouts={**QUICK, "responseHead": "10s", "queue": "10s"})
    identity, body = new_id(), b'{"connection_id": "%s"}' % CONNECTION.encode()
    with gateway.wire() as first, gateway.wire() as third:
        first.send(request(gateway, "GET", THING, ["X-Fault: hang-before-head", "X-Id: first"]))
        wait_for(lambda: upstream.received("first"), "the request that has the place")
        with gateway.wire() as second:
            second.send(request(gateway, "POST", JOBS, [f"X-Id: {identity}"], body))
            wait_for(lambda: total(metrics(gateway), "requests_pending") == 1, "the trigger that waits")
        assert gateway.call("GET", "/", wire=third).status == 204, "the one worker has seen what came before this"
        first.close()
        wait_for(lambda: play(gateway, third, "well")[1].answer.status == 200, "the place")
        wait_for(lambda: total(metrics(gateway), "gateway_leases") == 0, "no lease is left")
    assert upstream.received(identity) == []


def test_a_client_that_leaves_cancels_its_request(front, upstream):
    gateway = front(upstream, timeouts={**QUICK, "responseHead": "60s", "bodyProgress": "60s"})
    for fault in ("hang-before-head", "hang-mid-head", "hang-after-head", "hang-mid-body", "hang-mid-chunk"):
        identity = new_id()
        with gateway.wire() as wire:
            wire.send(request(gateway, "GET", THING, [f"X-Fault: {fault}", f"X-Id: {identity}"]))
            wait_for(lambda: upstream.received(identity), "the request")
        link = upstream.link_of(identity)
        wait_for(link.over.is_set, f"the end of the exchange with {fault}", 5)
        assert link.end in ("FIN", "RST")
