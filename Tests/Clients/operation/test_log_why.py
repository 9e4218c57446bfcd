"""One line of the access log shows the caller, the request, the rule that refused it, and why."""

import json

import pytest

from faulty import Refusing, Upstream, answer
from gateway import BASE, CONNECTION, JOBS, Gateway, Policies, wait_for
from outcome import new_id, request
from proxied import QUICK, behind

AGENT = "proof/1.0 cgw_NotToBeSeen-1"


def line(gateway, answer):
    """The log line of that response."""
    def look():
        return [one for one in gateway.log_lines() if one.get("trace_id") == answer["x-trace-id"]]
    (found,) = wait_for(look, f"a line about {answer}")
    assert "NotToBeSeen" not in json.dumps(found), found
    return found


def asked(gateway, method, path, body=None, **options):
    headers = {"User-Agent": AGENT, "X-Id": new_id(), **options.pop("headers", {})}
    told = gateway.call(method, path, body, headers=headers, **options)
    found = line(gateway, told)
    who = {"client": "127.0.0.1", "method": method, "path": path.partition("?")[0], "protocol": "HTTP/1.1", "tls": "1.3",
           "user_agent": "proof/1.0 cgw_***", "status": told.status}
    assert {name: found.get(name) for name in who} == who
    assert found.get("retry_after") == (int(told["retry-after"]) if told["retry-after"] else None)
    return told, found


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("why")
    policies = Policies(folder / "policies").without_resends().settings(trustedProxies=["127.0.0.1"])
    reader = policies.token("reader", scopes=["connectors:read"])
    writer = policies.token("writer")
    one = Gateway(folder / "state", policies.folder, workers=1, pace=(1, 60_000))
    one.token = writer
    one.start()
    one.reader = reader
    yield one
    one.kill()


def test_refusals_by_head_and_token(gateway):
    """400, 401, 403, 404, 405: the line has the stage and the rule, but never a query."""
    _, found = asked(gateway, "GET", f"{BASE}/connections/a%2Fb/state?key=NotToBeSeen")
    assert (found["status"], found["stage"], found["code"]) == (400, "route", "AMBIGUOUS_PATH")
    _, found = asked(gateway, "GET", JOBS, token="cgw_NotToBeSeen")
    assert (found["status"], found["stage"], found["code"], found["operation"]) == (401, "authenticate", "TOKEN_INVALID", "jobs.list")
    _, found = asked(gateway, "POST", JOBS, {"connection_id": "c", "job_type": "sync"}, token=gateway.reader)
    assert (found["status"], found["token_id"], found["missing_scope"]) == (403, "org_xyz789/reader", "connectors:run")
    _, found = asked(gateway, "GET", JOBS.replace("org_xyz789", "org_other"))
    assert (found["status"], found["organization_asked"], found["token_id"]) == (403, "org_other", "org_xyz789/writer")
    _, found = asked(gateway, "GET", "/nowhere")
    assert (found["status"], found["stage"], found["code"]) == (404, "route", "NOT_FOUND")
    _, found = asked(gateway, "PUT", f"{BASE}/connections/{CONNECTION}/refresh")
    assert (found["status"], found["stage"], found["code"]) == (405, "route", "METHOD_NOT_ALLOWED")


def test_a_missing_scope_is_the_one_that_is_missing(tmp_path):
    """403: of several scopes of a route, the line names only the ones that the token lacks."""
    policies = Policies(tmp_path / "policies")
    scopes = ["things:a", "things:b", "things:c"]
    policies.write("two.json5", {"scopes": {scope: {} for scope in scopes}, "routes": {
        "things.two": {"match": "GET /two", "scope": scopes}}})
    half = policies.token("half", scopes=["things:b"])
    gateway = Gateway(tmp_path / "state", policies.folder, workers=1).start()
    try:
        _, found = asked(gateway, "GET", "/two", token=half)
        assert (found["status"], found["stage"], found["missing_scope"]) == (403, "authorize", "things:a things:c")
    finally:
        gateway.kill()


def test_refusals_by_body(gateway):
    """400, 413, 415: the line names the fault of the body."""
    _, found = asked(gateway, "POST", JOBS, b"{}", headers={"Content-Encoding": "gzip"})
    assert (found["status"], found["stage"], found["code"], found["token_id"]) == (
        415, "read", "UNSUPPORTED_MEDIA_TYPE", "org_xyz789/writer")
    _, found = asked(gateway, "POST", JOBS, b"{")
    assert (found["status"], found["stage"]) == (400, "read") and "byte" in found["cause"]
    _, found = asked(gateway, "POST", JOBS, b" " * (2 << 20))
    assert found["status"] == 413 and "bytes" in found["cause"]


def test_a_job_in_the_way_names_who_started_it(gateway):
    """409: kind, job, start, and the trace id of the request that took the lease."""
    told, first = asked(gateway, "POST", JOBS, {"connection_id": CONNECTION, "job_type": "sync"})
    assert first["job"] == told.json["job_id"]
    told, found = asked(gateway, "POST", JOBS, {"connection_id": CONNECTION, "job_type": "sync"})
    assert found["status"] == 409
    lease = found["lease"]
    assert (lease["kind"], lease["job"], lease["trace_id"]) == ("sync", first["job"], first["trace_id"])
    assert lease["since"] <= first["time"]
    _, found = asked(gateway, "GET", f"{JOBS}/{first['job']}")
    assert found["job"] == first["job"]


def test_a_limit_says_its_name_and_its_wait(gateway):
    """429: the limit that refused, and its wait."""
    for _ in range(500):
        told = gateway.call("POST", JOBS, {"connection_id": "conn_none", "job_type": "sync"}, headers={"User-Agent": AGENT})
        if told.status == 429:
            break
    found = line(gateway, told)
    assert found["limit"] == told.json["error"]["details"]["limit"] and found["retry_after"]


def test_the_client_behind_a_trusted_proxy(gateway):
    """A client that writes X-Forwarded-For itself does not choose its address in the log."""
    for value, client in (("6.6.6.6, 203.0.113.9", "203.0.113.9"), ("203.0.113.9, nonsense", "127.0.0.1")):
        told = gateway.call("GET", "/nowhere", headers={"X-Forwarded-For": value})
        assert line(gateway, told)["client"] == client


def test_a_client_that_nobody_trusts_does_not_choose_its_address(tmp_path):
    """A client that is no trusted proxy forges X-Forwarded-For and Forwarded: the line has its own address."""
    gateway = Gateway(tmp_path / "state", Policies(tmp_path / "policies").settings(trustedProxies=["192.0.2.0/24"]).folder,
                      workers=1).start()
    try:
        for fields in ({"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}):
            assert line(gateway, gateway.call("GET", "/nowhere", headers=fields))["client"] == "127.0.0.1"
    finally:
        gateway.kill()


def test_refused_requests_do_not_fill_the_log(tmp_path):
    """One organization is refused hundreds of times: few are logged, all are counted, and another's refusal is logged."""
    policies = Policies(tmp_path / "policies").settings(log={"errorsPerOrganization": "5/min"})
    other = policies.token("other", organization="org_quiet")
    gateway = Gateway(tmp_path / "state", policies.folder, workers=1).start()
    gone = "org_xyz789"
    try:
        for _ in range(200):
            assert gateway.call("GET", JOBS.replace(gone, "org_gone")).status == 403
        quiet = line(gateway, gateway.call("GET", JOBS, token=other))
        assert (quiet["status"], quiet["organization_asked"]) == (403, gone)
        assert line(gateway, gateway.call("GET", JOBS, token="cgw_nobody"))["status"] == 401
        (summary,) = wait_for(lambda: [one for one in gateway.log_lines() if "suppressed" in one], "a summary")
        refused = [one for one in gateway.log_lines() if one.get("organization_asked") == "org_gone"]
        assert len(refused) == 5 and summary["suppressed"] == 195 and summary["organization"] == gone
        assert 'gateway_access_log_suppressed_lines_total{worker="0"} 195' in gateway.admin("/metrics")[1]
        assert gateway.call("GET", JOBS).status == 200
        wait_for(lambda: [one for one in gateway.log_lines() if one.get("status") == 200], "a line about the success")
    finally:
        gateway.kill()


class Failing(Upstream):
    def play(self, link, request):
        status = {"500": "500 Internal Server Error", "502": "502 Bad Gateway", "503": "503 Service Unavailable",
                  "504": "504 Gateway Timeout"}[request["x-want"]]
        answer(link, request, b'{"detail": "the inside of %s"}' % request["x-want"].encode(), status)


@pytest.mark.parametrize("status", ["500", "502", "503", "504"])
def test_an_upstreams_own_error(tmp_path, status):
    """500, 502, 503, 504 of the upstream: the line has the upstream's text."""
    with Failing() as upstream:
        gateway = behind(tmp_path, upstream)
        try:
            _, found = asked(gateway, "GET", f"{BASE}/things", headers={"X-Want": status})
            assert found["status"] == int(status) and found["origin"] == "upstream"
            assert found["upstream_error"] == f"the inside of {status}" and found["upstream"]
        finally:
            gateway.kill()


def test_an_upstream_that_is_not_there(tmp_path):
    """502 of the gateway: the line names the reason why there was no response."""
    with Refusing() as upstream:
        gateway = behind(tmp_path, upstream)
        try:
            _, found = asked(gateway, "GET", f"{BASE}/things")
            assert (found["status"], found["origin"], found["cause"]) == (502, "upstream", "the connection was refused")
        finally:
            gateway.kill()


class Silent(Upstream):
    """Sends no response."""

    def play(self, link, request):
        link.over.wait(10)


def test_an_upstream_that_does_not_answer(tmp_path):
    """504 of the gateway: the line says that the upstream did not respond, and names the endpoint."""
    with Silent() as upstream:
        gateway = behind(tmp_path, upstream)
        try:
            _, found = asked(gateway, "GET", f"{BASE}/things")
            assert (found["status"], found["origin"], found["code"]) == (504, "upstream", "GATEWAY_TIMEOUT")
            assert found["upstream"] and found["cause"] and "upstream_error" not in found
        finally:
            gateway.kill()


def test_no_place_at_the_upstream(tmp_path):
    """503 of the gateway: the line says that all permits for the upstream were in use."""
    with Silent() as upstream:
        gateway = behind(tmp_path, upstream, connections={"inFlight": 1, "queue": 1}, timeouts={**QUICK, "responseHead": "8s"})
        try:
            with gateway.wire() as wire:
                wire.send(request(gateway, "GET", f"{BASE}/things", []))
                wait_for(lambda: upstream.received(), "the request that takes the place")
                _, found = asked(gateway, "GET", f"{BASE}/things")
            assert (found["status"], found["code"]) == (503, "SERVICE_UNAVAILABLE") and found["token_id"]
            assert found["cause"] and found["origin"] in ("gateway", "upstream") and found["stage"] == "forward"
        finally:
            gateway.kill()
