"""A gateway in front of upstreams of the test, with deadlines short enough to wait for."""

import json

import catalogue
from gateway import BASE, Gateway, Policies
from outcome import Outcome, new_id, request

# A path that takes no lease and means nothing to the gateway.
THING = f"{BASE}/things"
assert catalogue.NAMES, "what upstreams can play has to be known to them"
QUICK = {"connect": "700ms", "responseHead": "700ms", "bodyProgress": "700ms", "idle": "30s", "queue": "700ms"}
# Faults come in rows: one of them must not eject the endpoint, or prevent a retry of the next one.
CALM = {"breaker": {"consecutiveFailures": 10_000}, "retryBudget": {"percent": 100, "minPerSecond": 1000}}


def behind(folder, *upstreams, gateway=None, start=True, workers=1, **settings):
    """A gateway whose policies name these upstreams; `settings` are those of `gateway.upstream`."""
    policies = Policies(folder / "policies").generous()
    urls = [upstream if isinstance(upstream, str) else upstream.url for upstream in upstreams]
    policies.settings(upstream={"url": urls[0] if len(urls) == 1 else urls, "timeouts": QUICK, **CALM, **settings},
                      **(gateway or {}))
    one = Gateway(folder / "state", policies.folder, workers=workers)
    one.written = policies
    return one.start() if start else one


def play(gateway, wire, fault, method="GET", body=None, path=THING, fields=(), on_head=lambda _: None):
    """Sends one request with that fault; returns its id and its outcome."""
    identity = new_id()
    wire.send(request(gateway, method, path, [f"X-Fault: {fault}", f"X-Id: {identity}", *fields], body))
    return identity, Outcome(wire, method, lambda answer: on_head(identity))


def well(gateway, wire):
    """Sends a good request, checks that it gets its own response and nothing else, and returns its id."""
    identity, outcome = play(gateway, wire, "well")
    assert outcome.answer.status == 200 and not outcome.cut, outcome.answer
    assert outcome.answer["x-id"] == identity == json.loads(outcome.answer.body)["id"], "another request's answer"
    assert not outcome.answer.closes and wire.buffer == b""
    return identity
