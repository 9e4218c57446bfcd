"""Requests that the gateway and a lenient upstream could read differently."""

import json
import re

import pytest

from faulty import Upstream
from gateway import BASE, CLEAR, CONNECTION, JOBS, ORGANIZATION, REFRESH, SOURCE_CONNECTION, STATE, Gateway, Policies
from outcome import new_id
from proxied import CALM, QUICK, THING
from wire import envelope

pytestmark = pytest.mark.upstream
OTHER = "org_other"
JOB = "job_1"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A gateway before an upstream that accepts everything; tokens of two organizations."""
    folder = tmp_path_factory.mktemp("reading")
    with Upstream() as upstream:
        policies = Policies(folder / "policies").generous()
        policies.settings(upstream={"url": upstream.url, "timeouts": QUICK, **CALM})
        gateway = Gateway(folder / "state", policies.folder, workers=1)
        gateway.token = policies.token("mine")
        gateway.other = policies.token("theirs", organization=OTHER)
        gateway.both = policies.token("both", organizations=[OTHER])
        gateway.reader = policies.token("reader", ["connectors:read"])
        gateway.upstream = upstream
        gateway.start()
        yield gateway
        gateway.kill()


def send(gateway, method, path, *fields, body=None, authorization="", version="1.1"):
    """The response, and the request as it arrived upstream, or None."""
    identity = new_id()
    lines = [f"{method} {path} HTTP/{version}", f"Host: localhost:{gateway.port}", f"X-Id: {identity}", *fields]
    if authorization is not None:
        lines.append(f"Authorization: {authorization or 'Bearer ' + gateway.token}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    with gateway.wire() as wire:
        wire.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))
        got = wire.final(head=method == "HEAD")
    return got, next(iter(gateway.upstream.received(identity)), None)


def refused(gateway, status, code, *arguments, **options):
    got, arrived = send(gateway, *arguments, **options)
    error = envelope(got, status, code, airweave="source-connections" in arguments[1])
    assert arrived is None, arrived.raw_head
    return error


MIXED = b'{"connection_id":"A","x":"&connection_id=B&job_type=sync&y="}'


@pytest.mark.parametrize("kind", [
    FORM, f"{FORM}; charset=utf-8", "text/plain", "application/json; charset=utf-16", "application/json; charset=utf-8; charset=utf-16",
    "multipart/form-data; boundary=x", "application/json, application/x-www-form-urlencoded", "application/jsonp", "text/json", "",
    f"{FORM}+json", "application/json; charset*=us-ascii''utf-7", "application/json; charset*0=utf-; charset*1=7",
    'application/json; x="a;charset=utf-7"'])
def test_a_body_of_another_type_is_not_read_as_json(site, kind):
    """The gateway leases A; an upstream that follows the media type starts B."""
    error = refused(site, 415, "UNSUPPORTED_MEDIA_TYPE", "POST", JOBS, f"Content-Type: {kind}", body=MIXED)
    assert error["details"]["accept"] == "application/json"


@pytest.mark.parametrize("fields", [
    ["Content-Encoding: gzip"], ["Content-Type: application/json", "Content-Encoding: identity, br"],
    ["Content-Encoding: identity", "Content-Encoding: deflate"]])
def test_a_coded_body_is_not_read_as_it_stands(site, fields):
    """The decoded body may be another one."""
    refused(site, 415, "UNSUPPORTED_MEDIA_TYPE", "POST", JOBS, *fields, body=MIXED)


def test_two_content_types_are_not_chosen_from(site):
    """One parser takes the first, another the last."""
    got, arrived = send(site, "POST", JOBS, "Content-Type: application/json", f"Content-Type: {FORM}", body=MIXED)
    assert got.status in (400, 415) and arrived is None


@pytest.mark.parametrize("member", ["Connection_ID", "CONNECTIONID", "connection-id", "ConnectionId", "connection.id",
                                    "connection\\u005FID", "_connection_id_", "connect\u0131on_id", "CONNECT\u0130ONID", "connection\u00adid",
                                    "connection" + "_" * 400 + "id", "connection_id\\u0000" + "x" * 400])
def test_another_spelling_in_the_body_is_refused(site, member):
    """Parsers that compare names without case or punctuation take the last one."""
    body = b'{"connection_id":"A","%s":"B"}' % member.encode("utf-8")
    error = refused(site, 422, "VALIDATION_ERROR", "POST", JOBS, "Content-Type: application/json", body=body)
    assert error["details"]["field"] == "connection_id"


@pytest.mark.parametrize("query", [
    "connection_id=B", "connectionId=B", "job_type=sync&connection_id=B", "%63onnection_id=B", "connection%5fid=B", "Connection-Id=B",
    "a;connection_id=B", "connection_id[]=B", "connection_id%5B%5D=B", "connection.id=B", "connection+id=B", "connection_id%00=B",
    "connect%C4%B1on_id=B", "connection" + "_" * 300 + "id=B"])
def test_the_query_does_not_name_another_connection(site, query):
    """Rails, Spring and PHP merge query and body, and one of them wins."""
    refused(site, 422, "VALIDATION_ERROR", "POST", f"{JOBS}?{query}", "Content-Type: application/json", body=b'{"connection_id":"A"}')


def test_honest_clients_are_let_in(site):
    for number, fields in enumerate((
            ["Content-Type: application/json"], ["content-type:Application/JSON;Charset=UTF-8"], [],
            ["Content-Type: application/json; charset=\"utf-8\"", "Content-Encoding: identity"],
            ["Content-Type: application/vnd.api+json"])):
        body = b'{"connection_id": "honest%d", "job_type": "sync"}' % number
        got, arrived = send(site, "POST", f"{JOBS}?a=connection_id&verbose", *fields, body=body)
        assert got.status == 200 and arrived.body == body, got


@pytest.mark.parametrize("method, path", [
    (method, path)
    for path, methods in [
        (REFRESH, "GET HEAD PUT PATCH DELETE"), (CLEAR, "GET PUT PATCH DELETE"), (STATE, "POST DELETE"), (JOBS, "PUT PATCH DELETE"),
        (JOBS + "/", "PUT"), (f"{JOBS}/{JOB}", "POST PUT PATCH"), (f"{JOBS}/{JOB}/retry", "GET PUT PATCH DELETE"),
        (f"/v1/source-connections/{SOURCE_CONNECTION}/run", "GET PUT PATCH"),
        (f"/source-connections/{SOURCE_CONNECTION}/jobs/{JOB}/cancel", "GET DELETE")]
    for method in methods.split()])
def test_a_path_with_a_route_has_no_other_methods(site, method, path):
    """A framework that accepts any method, or an override, would start a job without a lease."""
    body = b"{}" if method in ("POST", "PUT", "PATCH") else None
    got, arrived = send(site, method, path, "X-HTTP-Method-Override: POST", body=body)
    assert got.status == 405 and got["allow"] and arrived is None, got
    assert method not in [one.strip() for one in got["allow"].split(",")]


def test_wildcards_keep_the_other_paths(site):
    for method, path in [("PATCH", f"{BASE}/connections/{CONNECTION}"), ("PUT", THING), ("GET", f"{JOBS}/{JOB}/logs"),
                         ("PATCH", f"/v1/source-connections/{SOURCE_CONNECTION}"), ("DELETE", f"/source-connections/{SOURCE_CONNECTION}")]:
        assert send(site, method, path)[0].status in (200, 204), (method, path)


ANOTHER = ["X-HTTP-Method", "X-HTTP-Method-Override", "X_HTTP_Method_Override", "x-method-override", "X-Method_Override", "X-Original-URL",
           "X_ORIGINAL_URL", "X-Rewrite-URL", "Remote-User", "REMOTE_USER", "X-Remote-User", "Proxy", "PROXY", "Proxy-Authorization",
           "Proxy_Authorization", "X_Organization_ID", "X.HTTP.Method.Override", "X.Gateway.Organization", "X!Organization!ID",
           "Content.Type"]


def test_fields_that_make_another_request_of_it_end_here(site):
    """Another method, path, user or proxy than the gateway checked."""
    got, arrived = send(site, "GET", THING, *(f"{name}: spoofed" for name in ANOTHER), "X-Methods: mine", "Proxy-Tag: mine")
    assert got.status == 200 and b"spoofed" not in arrived.raw_head, arrived.raw_head
    assert arrived["x-methods"] == arrived["proxy-tag"] == "mine"


def test_only_the_credential_that_counted_goes_on(site):
    """An upstream that prefers the other field would act for another organization."""
    _, arrived = send(site, "GET", THING, "x-api-key: dummy")
    assert arrived["authorization"] == f"Bearer {site.token}" and arrived["x-api-key"] is None
    for other in ("Basic dXNlcjpwYXNz", "Bearer wrong", "Negotiate abc"):
        _, arrived = send(site, "GET", THING, f"x-api-key: {site.token}", authorization=other)
        assert arrived["authorization"] is None and arrived["x-api-key"] == site.token, other
    _, arrived = send(site, "GET", THING, f"x-api-key: {site.token}")
    assert arrived["authorization"] == f"Bearer {site.token}" and arrived["x-api-key"] is None, "one principal, twice"


@pytest.mark.parametrize("method, path", [("GET", THING), ("GET", "/v1/source-connections"), ("POST", REFRESH)])
def test_two_callers_in_one_request_are_refused(site, method, path):
    """Leased and limited for one organization, executed for the other."""
    refused(site, 400, "AMBIGUOUS_CREDENTIALS", method, path, f"x-api-key: {site.other}")


def test_the_organization_of_the_header_is_that_of_the_path(site):
    """Airweave takes the organization from the header."""
    for token in (site.token, site.both):
        error = refused(site, 403, "ORGANIZATION_ACCESS_DENIED", "GET", THING, f"X-Organization-ID: {OTHER}", authorization=f"Bearer {token}")
        assert error["details"]["organization_id"] == OTHER
    got, arrived = send(site, "GET", THING, f"X-Organization-ID: {ORGANIZATION}")
    assert got.status == 200 and arrived["x-organization-id"] == ORGANIZATION
    for path in (THING, "/v1/source-connections"):
        got, arrived = send(site, "GET", path, "X-Organization-ID:")
        assert got.status == 200 and arrived["x-organization-id"] is None, "empty is absent"


BURST = 6
REFUSED = {
    400: ("POST", JOBS, b"{"),
    403: ("POST", JOBS, b'{"connection_id": "c1"}'),
    413: ("POST", JOBS, b'{"connection_id": "%s"}' % (b"x" * 70_000)),
    415: ("POST", JOBS, MIXED),
    422: ("POST", JOBS, b"{}"),
}


@pytest.mark.parametrize("status", REFUSED)
def test_refused_writes_count(start, policies, status):
    """Without the limit, 18,000 wrong requests a second would cost their sender nothing."""
    text = policies.read("limits.json5")
    policies.write("limits.json5", text.replace('allow: "600/min",\n      burst: 150', f'allow: "1/min",\n      burst: {BURST}'))
    policies.write("routes.json5", policies.read("routes.json5").replace('class: "trigger"', 'class: "trigger", maxBody: "64KiB"'))
    token = policies.token("tester", ["connectors:read"] if status == 403 else ("connectors:read", "connectors:run"))
    gateway = start(policies)
    method, path, body = REFUSED[status]
    kind = FORM if status == 415 else "application/json"
    seen, left = [], []
    for _ in range(BURST + 2):
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", f"Content-Type: {kind}",
                 f"Content-Length: {len(body)}"]
        with gateway.wire() as wire:
            wire.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if status == 413 else body))
            got = wire.final()
        seen.append(got.status)
        left += re.findall(r'"write-calls-per-token";r=(\d+)', got["ratelimit"] or "")
    assert seen == [status] * BURST + [429] * 2, seen
    assert left == [str(BURST - 1 - number) for number in range(BURST)] + ["0", "0"], "each was charged once, and told"
    assert json.loads(got.body)["error"]["details"]["limit"] == "write-calls-per-token"
    exceeded = [int(value) for value in re.findall(
        r'gateway_rate_limit_exceeded_total\{[^}]*write-calls-per-token[^}]*\} (\d+)', gateway.admin("/metrics")[1])]
    assert sum(exceeded) == 2, "every refusal is counted, those before a body as well"
