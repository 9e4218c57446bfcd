"""Permissions by token, organization and scope; strangers cannot find out what exists."""

import re
import time

import pytest

from gateway import BASE, CONNECTION, JOBS, ORGANIZATION, REFRESH, RUN, STATE
from wire import envelope

pytestmark = pytest.mark.access
# The demo data has a connection of another organization, for callers with a token of that organization.
OTHER = "org_other42"
OTHERS_CONNECTION = "conn_other1"
OTHERS = BASE.replace(ORGANIZATION, OTHER)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """One gateway, and tokens of several kinds."""
    from gateway import Gateway, Policies

    folder = tmp_path_factory.mktemp("access")
    policies = Policies(folder / "policies").generous()
    tokens = {
        "reader": policies.token("reader", ["connectors:read"]),
        "runner": policies.token("runner", ["connectors:run"]),
        "writer": policies.token("writer", ["connectors:read", "connectors:write"]),
        "expired": policies.token("expired", expires="2020-01-01T00:00:00Z"),
        "stranger": policies.token("stranger", organization=OTHER),
        "both": policies.token("both", organizations=[OTHER]),
    }
    gateway = Gateway(folder / "state", policies.folder).start()
    gateway.tokens = tokens
    yield gateway
    gateway.kill()


def challenge(answer):
    value = answer["www-authenticate"]
    assert value and value.startswith("Bearer ") and "realm=" in value, answer.raw_head
    return value


def test_no_credential(site):
    answer = site.call("GET", STATE, token=None)
    envelope(answer, 401, "AUTHENTICATION_REQUIRED")
    assert "error=" not in challenge(answer)


@pytest.mark.parametrize("header", [
    "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer a b", "Bearer \xe9", "cgw_x", "Bearer cgw_x, Bearer cgw_y"])
def test_malformed_credentials(site, header):
    answer = site.call("GET", STATE, token=None, headers={"Authorization": header})
    envelope(answer, (400, 401))
    if answer.status == 401:
        challenge(answer)


def test_unknown_mistyped_and_expired_tokens(site):
    good = site.token
    mistyped = good[:-1] + ("a" if good[-1] != "a" else "b")
    for token in ("cgw_unknown", mistyped, good.upper(), good + "x", good[:-1]):
        answer = site.call("GET", STATE, token=token)
        envelope(answer, 401, ("INVALID_API_KEY", "TOKEN_INVALID"))
        assert 'error="invalid_token"' in challenge(answer)
    answer = site.call("GET", STATE, token=site.tokens["expired"])
    envelope(answer, 401, ("API_KEY_EXPIRED", "TOKEN_EXPIRED"))
    assert 'error="invalid_token"' in challenge(answer)


def test_either_header_and_their_precedence(site):
    good = site.token

    def state(**headers):
        return site.call("GET", STATE, token=None, headers={key.replace("_", "-"): value for key, value in headers.items()})

    assert state(Authorization=f"Bearer {good}").status == 200
    assert state(authorization=f"bearer {good}").status == 200, "the scheme is case-insensitive"
    assert state(x_api_key=good).status == 200
    assert state(X_API_KEY=good).status == 200
    envelope(state(Authorization=f"Bearer {good}", x_api_key=site.tokens["stranger"]), 400, "AMBIGUOUS_CREDENTIALS")
    for beside in ("", "dummy", "your-api-key", good):
        assert state(Authorization=f"Bearer {good}", x_api_key=beside).status == 200, f"valid Bearer beside {beside!r}"
    envelope(state(x_api_key=""), 401, "AUTHENTICATION_REQUIRED")
    envelope(state(Authorization="Bearer wrong", x_api_key="dummy"), 401)


def test_a_token_in_the_query_string_is_no_credential(site):
    for name in ("access_token", "api_key", "x-api-key", "token"):
        envelope(site.call("GET", f"{STATE}?{name}={site.token}", token=None), 401)


def test_repeated_authorization_is_refused(site):
    with site.wire() as wire:
        wire.send(f"GET {STATE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {site.token}\r\n"
                  f"Authorization: Bearer {site.tokens['reader']}\r\n\r\n")
        envelope(wire.final(), (400, 401))


def test_the_organization_of_the_path_must_be_the_tokens(site):
    for path in (OTHERS, OTHERS.replace(OTHER, "org_absent")):
        answers = [site.call("GET", f"{path}/connections/{CONNECTION}/state"), site.call("GET", f"{path}/jobs"),
                   site.call("POST", f"{path}/jobs", {"connection_id": CONNECTION, "job_type": "sync"}),
                   site.call("GET", f"{path}/anything/else")]
        for answer in answers:
            envelope(answer, 403, "ORGANIZATION_ACCESS_DENIED")
    assert site.call("GET", STATE, token=site.tokens["both"]).status == 200
    assert site.call("GET", f"{OTHERS}/jobs", token=site.tokens["both"]).status == 200
    own = f"{OTHERS}/connections/{OTHERS_CONNECTION}/state"
    assert site.call("GET", own, token=site.tokens["stranger"]).status == 200
    envelope(site.call("GET", own.replace(OTHER, ORGANIZATION)), 404, "CONNECTOR_CONNECTION_NOT_FOUND")
    envelope(site.trigger(connection=OTHERS_CONNECTION), 404, "CONNECTOR_CONNECTION_NOT_FOUND")


def without_accidents(answer):
    """The content of a response without trace, time and the requested id."""
    head = re.sub(rb"(?im)^(x-trace-id|date|x-request-id|server-timing|(x-)?ratelimit-reset|ratelimit|x-ratelimit-remaining"
                  rb"|content-length|traceresponse):.*\r?\n?", b"", answer.raw_head)
    body = re.sub(rb'"(trace_id|timestamp)":"[^"]*"', b"", answer.body)
    return answer.status, head, body


def test_foreign_and_absent_look_the_same(site):
    job = site.trigger().json["job_id"]
    foreign = {"token": site.tokens["stranger"]}
    pairs = [
        ("GET", f"{OTHERS}/connections/{CONNECTION}/state", f"{OTHERS}/connections/conn_absen1/state", None, None),
        ("POST", f"{OTHERS}/connections/{CONNECTION}/refresh", f"{OTHERS}/connections/conn_absen1/refresh",
         {"streams": []}, {"streams": []}),
        ("GET", f"{OTHERS}/jobs/{job}", f"{OTHERS}/jobs/{job[:-4]}0000", None, None),
        ("DELETE", f"{OTHERS}/jobs/{job}", f"{OTHERS}/jobs/{job[:-4]}0000", None, None),
        ("POST", f"{OTHERS}/jobs", f"{OTHERS}/jobs", {"connection_id": CONNECTION, "job_type": "sync"},
         {"connection_id": "conn_absen1", "job_type": "sync"}),
        ("POST", RUN, RUN.replace("550e8400", "550e8401"), None, None),
    ]
    for method, there, absent, body, other in pairs:
        one = site.call(method, there, body, **foreign)
        two = site.call(method, absent, other, **foreign)
        assert one.status == 404, (there, one)
        assert without_accidents(one) == without_accidents(two), (one, two)
    assert site.call("GET", f"{OTHERS}/jobs", **foreign).json == {"data": [], "total": 0}
    site.idle()


def test_scopes(site):
    cases = [
        ("reader", "GET", STATE, None, None), ("reader", "GET", JOBS, None, None),
        ("reader", "PATCH", STATE, {"state": {}}, "connectors:write"),
        ("reader", "POST", JOBS, {"connection_id": CONNECTION, "job_type": "sync"}, "connectors:run"),
        ("reader", "POST", REFRESH, {"streams": []}, "connectors:run"),
        ("reader", "POST", RUN, None, "connectors:run"),
        ("reader", "DELETE", f"{JOBS}/job_absent", None, "connectors:run"),
        ("runner", "GET", STATE, None, "connectors:read"),
        ("writer", "POST", JOBS, {"connection_id": CONNECTION, "job_type": "sync"}, "connectors:run"),
    ]
    for who, method, path, body, missing in cases:
        answer = site.call(method, path, body, token=site.tokens[who])
        if missing is None:
            assert answer.status == 200, answer
            continue
        envelope(answer, 403, "INSUFFICIENT_PERMISSIONS", airweave=path == RUN)
        value = challenge(answer)
        assert 'error="insufficient_scope"' in value and re.search(r'scope="[^"]*connectors:', value), value


def test_an_airweave_token_of_several_organizations_must_choose(site):
    token = site.tokens["both"]
    answer = site.call("POST", RUN, token=token)
    envelope(answer, (400, 403), "AMBIGUOUS_ORGANIZATION", airweave=True)
    answer = site.call("POST", RUN, token=token, headers={"X-Organization-ID": "org_absent"})
    envelope(answer, 403, "ORGANIZATION_ACCESS_DENIED", airweave=True)
    answer = site.call("POST", RUN, token=token, headers={"X-Organization-ID": OTHER})
    envelope(answer, 404, airweave=True)
    assert site.call("POST", RUN, token=token, headers={"X-Organization-ID": ORGANIZATION}).status == 200
    site.idle()


@pytest.mark.parametrize("path", [
    STATE.replace("/v1/", "//v1/"), STATE.replace("/v1/", "/./v1/"), STATE.replace("/v1/", "/x/../v1/"),
    STATE.replace("org_xyz789", "org_xyz78%39"), STATE.replace("org_xyz789", "org_other/../org_xyz789"),
    STATE.replace("connections", "connections//"), STATE.replace("/state", "%2Fstate"),
    STATE.replace("/state", ";x=1/state"), STATE.replace("/state", "\\state"), STATE + "/../state",
    STATE.replace("conn_abc123", ".."), STATE.replace("conn_abc123", "%2e%2e"), STATE.replace("conn_abc123", "%00"),
])
def test_ambiguous_paths_are_refused(site, path):
    envelope(site.call("GET", path), (400, 404))


def test_secrets_stay_out_of_the_log(site):
    secret = "cgw_" + "S" * 43
    site.call("GET", f"{STATE}?access_token={secret}", token=None, headers={"x-api-key": secret, "Cookie": secret})
    site.call("GET", STATE)
    until = time.monotonic() + 5
    while time.monotonic() < until and not any("state" in str(line) for line in site.log_lines()):
        time.sleep(0.02)
    assert secret not in site.output
    shown = [line for line in site.output.splitlines() if site.token in line]
    assert all(line.startswith(("demo token", "curl ")) for line in shown), shown
