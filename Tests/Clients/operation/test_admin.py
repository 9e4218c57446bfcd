"""The admin listener: health, readiness, the policy in force, metrics that parse."""

import json
import re

import pytest

from gateway import RUN, STATE, wait_for
from metrics import metrics, total
from wire import Wire

pytestmark = pytest.mark.admin


def test_health_and_readiness(shared):
    assert shared.admin("/healthz")[0] == 200
    assert shared.admin("/readyz")[0] == 200
    assert shared.admin("/nowhere")[0] == 404


def test_policy(shared):
    status, text = shared.admin("/policy")
    assert status == 200
    assert shared.call("GET", STATE)["x-policy-version"] in text
    json.loads(text)


def test_metrics_count_requests(roomy):
    before = metrics(roomy)
    for _ in range(5):
        roomy.call("GET", STATE)
    roomy.call("GET", STATE, token=None)
    assert roomy.trigger().status == 200
    assert roomy.trigger().status == 409
    after = metrics(roomy)
    requests = [key for key in after if re.search(r"requests?_total", key)]
    assert requests, sorted(after)
    assert sum(after[key] for key in requests) - sum(before.get(key, 0) for key in requests) >= 8
    assert total(after, "requests_total", '"200"') - total(before, "requests_total", '"200"') == 6
    assert total(after, "requests_total", '"401"') == 1 and total(after, "requests_total", '"409"') == 1
    assert total(after, "gateway_leases", '"held"') == 1
    assert total(after, "received_bytes") - total(before, "received_bytes") > 8 * 100
    assert total(after, "sent_bytes") - total(before, "sent_bytes") > 8 * 100


def test_metrics_count_everything_else(start, policies):
    gateway = start(policies, pace=(100_000, 100))
    before = metrics(gateway)
    with gateway.wire() as wire:
        gateway.call("GET", STATE, wire=wire)
        assert total(metrics(gateway), "gateway_connections{") == 1
        with gateway.wire(session=wire.socket.session, context=wire.socket.context) as resumed:
            resumed.send("GET / HTTP/1.1\r\n\r\n")
            assert resumed.final().status == 400
    while gateway.trigger().status != 429:
        gateway.idle()
    policies.token("new")
    wait_for(lambda: total(metrics(gateway), "reloads", "accepted") >= 1, "a reload", 15)
    policies.write("routes.json5", "{")
    wait_for(lambda: total(metrics(gateway), "reloads", "rejected") >= 1, "a refused reload", 15)
    after = metrics(gateway)
    for name, *labels in (("connections_total",), ("handshakes", 'result="full"'), ("handshakes", 'result="resumed"'),
                          ("malformed_requests",), ("rate_limit_exceeded",), ("received_bytes",), ("sent_bytes",)):
        assert total(after, name, *labels) > total(before, name, *labels), f"{name} does not count"
    wait_for(lambda: total(metrics(gateway), "gateway_connections{") == 0, "no open connection", 5)
    wait_for(lambda: total(metrics(gateway), "gateway_leases") == 0, "no lease", 5)


def test_no_secret_and_no_stranger_in_the_labels(shared):
    shared.call("GET", "/v1/made-up-by-a-stranger")
    shared.call("POST", RUN.replace("550e", "abcd"))
    text = shared.admin("/metrics")[1]
    assert shared.token not in text and "made-up-by-a-stranger" not in text and "abcd8400" not in text


def test_the_admin_listener_is_not_the_api_and_the_api_not_the_admin(shared):
    for path in ("/metrics", "/policy", "/healthz"):
        assert shared.call("GET", path).status in (401, 404)
    assert shared.admin(STATE)[0] == 404


def test_malformed_requests_to_the_admin_listener(shared):
    for data in (b"GET / HTTP/1.1\n\n", b"\0" * 100, b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"):
        with Wire(shared.admin_port, tls=False) as wire:
            wire.send(data)
            assert wire.final().status == 400
    assert shared.admin("/healthz")[0] == 200


def asked(gateway, head):
    with Wire(gateway.admin_port, tls=False) as wire:
        wire.send(f"{head}\r\n\r\n")
        return wire.final(head=head.startswith("HEAD"))


def test_a_page_of_a_stranger_gets_nothing(shared):
    """A web page reaches the admin interface under its own name (DNS rebinding), or sends requests across origins."""
    own = f"127.0.0.1:{shared.admin_port}"
    for host in ("evil.example", f"evil.example:{shared.admin_port}", "127.0.0.1.evil.example"):
        answer = asked(shared, f"GET /policy HTTP/1.1\r\nHost: {host}")
        assert answer.status == 421 and b"version" not in answer.body, answer
    for origin in ("http://evil.example", "null", f"https://{own}"):
        answer = asked(shared, f"GET /metrics HTTP/1.1\r\nHost: {own}\r\nOrigin: {origin}")
        assert answer.status == 403 and b"gateway_" not in answer.body, answer
    for host in (own, "localhost", f"localhost:{shared.admin_port}", f"[::1]:{shared.admin_port}", "10.2.3.4:8444"):
        assert asked(shared, f"GET /policy HTTP/1.1\r\nHost: {host}").status == 200
    assert asked(shared, f"GET /policy HTTP/1.1\r\nHost: {own}\r\nOrigin: http://{own}").status == 200
    assert asked(shared, f"HEAD /healthz HTTP/1.1\r\nHost: {own}").status == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert asked(shared, f"{method} /policy HTTP/1.1\r\nHost: {own}\r\nContent-Length: 0").status == 405


def test_a_name_of_the_admin_interface_is_told_by_policy(start, policies):
    gateway = start(policies.settings(adminNames=["gateway.monitoring"]))
    assert asked(gateway, "GET /metrics HTTP/1.1\r\nHost: gateway.monitoring:8444").status == 200
    assert asked(gateway, "GET /metrics HTTP/1.1\r\nHost: gateway.elsewhere:8444").status == 421
