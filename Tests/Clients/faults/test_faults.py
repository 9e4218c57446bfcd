"""Every fault of the upstream, for GET and POST: status, code, `Proxy-Status`, the fate of both connections, and the requests
that the upstream received. The rows are in `expected.py`."""

import ssl

import pytest

import catalogue
import expected
from certificates import server_context
from expected import check_answer
from faulty import Deaf, Refusing, Upstream
from gateway import wait_for
from proxied import behind, play, well

pytestmark = pytest.mark.upstream
BODIES = {"GET": None, "POST": b'{"name": "thing"}'}


@pytest.fixture(scope="module")
def upstream():
    assert len(catalogue.NAMES) >= 45
    with Upstream(paced=True) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream, tmp_path_factory):
    gateway = behind(tmp_path_factory.mktemp("faults"), upstream)
    yield gateway
    gateway.kill()


def check_received(upstream, identity, row, method, body):
    """Checks that the request arrived as often as the row says, unchanged; returns the connection of the last one."""
    received = upstream.received(identity)
    assert len(received) == (row.tries if method == "GET" else 1), received
    assert all(one.method == method and one.body == (body or b"") for one in received)
    return upstream.link_of(identity)


@pytest.mark.parametrize("method", BODIES)
@pytest.mark.parametrize("fault", expected.TABLE)
def test_fault(gateway, upstream, fault, method):
    row, body = expected.TABLE[fault], BODIES[method]
    with gateway.wire() as wire:
        before = well(gateway, wire)
        identity, outcome = play(gateway, wire, fault, method, body, on_head=upstream.relayed)
        upstream.relayed(identity)
        check_answer(outcome, row, identity)
        link = check_received(upstream, identity, row, method, body)
        first = upstream.received(identity)[0]
        assert first in upstream.link_of(before).requests, "the connection of the request before was to be used again"
        if not row.cut:
            if row.drops and row.code is None:
                assert first.played.wait(5)
            assert not outcome.answer.closes, "the client is not to blame"
            after = well(gateway, wire)
            assert (upstream.link_of(after) is link) == (not row.drops)
    if row.drops:
        wait_for(link.over.is_set, "the end of the connection to the upstream", 5)
        assert link.requests[-1].id == identity
    with gateway.wire() as wire:
        well(gateway, wire)


@pytest.mark.parametrize("fault", [
    "well", "body-for-head", "error-detail-text", "error-html", "error-empty", "http-1-0-without-length", "chunked",
    "no-length", "trailers-good"])
def test_head_never_has_a_body(gateway, upstream, fault):
    with gateway.wire() as wire:
        identity, outcome = play(gateway, wire, fault, "HEAD")
        assert outcome.answer.status == (404 if fault == "error-detail-text" else 502 if "html" in fault else
                                         500 if "empty" in fault else 200)
        after = well(gateway, wire)
        assert (upstream.link_of(after) is upstream.link_of(identity)) == (fault in (
            "well", "error-detail-text", "error-html", "error-empty", "chunked")), "bytes that nobody asked for"


@pytest.mark.parametrize("method", BODIES)
@pytest.mark.parametrize("name", expected.ACCEPTED)
def test_before_the_request(tmp_path, name, method):
    row, body = expected.ACCEPTED[name], BODIES[method]
    kind = {"refuse": Refusing, "hang-before-accept": Deaf}.get(name, lambda: Upstream(accept=name))
    with kind() as upstream:
        gateway = behind(tmp_path, upstream)
        try:
            with gateway.wire() as wire:
                for _ in range(2):
                    identity, outcome = play(gateway, wire, "well", method, body)
                    check_answer(outcome, row, identity)
                    assert not outcome.answer.closes
        finally:
            gateway.kill()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    import subprocess

    from gateway import ROOT
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run([ROOT / "Tests/Scripts/make-certs.sh", folder], check=True, stdin=subprocess.DEVNULL)
    return folder


def exchange(folder, upstream, method="GET", **settings):
    """Sends one request through a gateway of its own."""
    gateway = behind(folder, upstream, **settings)
    try:
        with gateway.wire() as wire:
            return play(gateway, wire, "well", method, BODIES[method])
    finally:
        gateway.kill()


@pytest.mark.parametrize("method", BODIES)
@pytest.mark.parametrize("name", expected.HANDSHAKES)
def test_handshakes(tmp_path, authority, name, method):
    with Upstream(server_context(authority, "localhost"), accept=name) as upstream:
        identity, outcome = exchange(tmp_path, upstream, method, tls={"authorities": f"{authority}/ca.pem"})
        check_answer(outcome, expected.HANDSHAKES[name], identity)
        assert upstream.received() == []


@pytest.mark.parametrize("name", expected.CERTIFICATES)
def test_certificates(tmp_path, authority, name):
    with Upstream(server_context(authority, name)) as upstream:
        identity, outcome = exchange(tmp_path, upstream, tls={"authorities": f"{authority}/ca.pem"})
        check_answer(outcome, expected.CERTIFICATES[name], identity)
        assert upstream.received() == []


def test_an_unknown_authority(tmp_path, authority):
    """Without `authorities` the system's are trusted; the test's authority is not among them."""
    with Upstream(server_context(authority, "localhost")) as upstream:
        identity, outcome = exchange(tmp_path, upstream)
        check_answer(outcome, expected.failed("tls_certificate_error"), identity)


def test_a_good_certificate_and_another_name(tmp_path, authority):
    with Upstream(server_context(authority, "localhost")) as upstream:
        identity, outcome = exchange(tmp_path / "a", upstream, "POST", tls={"authorities": f"{authority}/ca.pem"})
        assert outcome.answer.status == 200 and len(upstream.received(identity)) == 1
    with Upstream(server_context(authority, "other")) as upstream:
        tls = {"authorities": f"{authority}/ca.pem", "serverName": "other.example.com"}
        identity, outcome = exchange(tmp_path / "b", upstream, tls=tls)
        assert outcome.answer.status == 200, outcome.answer


def test_a_client_certificate(tmp_path, authority):
    tls = {"authorities": f"{authority}/ca.pem"}
    with Upstream(server_context(authority, "localhost", client=authority / "ca.pem")) as upstream:
        identity, outcome = exchange(tmp_path / "a", upstream, tls=tls)
        check_answer(outcome, expected.failed("tls_alert_received"), identity)
        shown = {"certificate": f"{authority}/client.pem", "key": f"{authority}/client.key"}
        identity, outcome = exchange(tmp_path / "b", upstream, tls={**tls, **shown})
        assert outcome.answer.status == 200, outcome.answer


@pytest.mark.parametrize("fault, row", [
    ("close-mid-body", expected.CUT), ("no-length-without-close-notify", expected.CUT), ("no-length", expected.good()),
    ("before-head", None)])
def test_truncation_over_tls(tmp_path, authority, fault, row):
    """Over TLS, the end of a body without a length needs close_notify (RFC 9112, section 9.8)."""
    if row is None:
        fault, row = "close-before-head", expected.failed("connection_terminated")
    with Upstream(server_context(authority, "localhost"), paced=True) as upstream:
        gateway = behind(tmp_path, upstream, tls={"authorities": f"{authority}/ca.pem"})
        try:
            with gateway.wire() as wire:
                identity, outcome = play(gateway, wire, fault, on_head=upstream.relayed)
                check_answer(outcome, row, identity)
        finally:
            gateway.kill()


def test_http_1_0_clients_see_a_truncation(gateway, upstream):
    """If the end of the connection ends the body, a broken body ends without close_notify, and so never looks complete."""
    from outcome import new_id, request
    for fault, whole in (("no-length", True), ("close-before-last-chunk", False), ("reset-mid-body", False)):
        identity = new_id()
        with gateway.wire() as wire:
            wire.socket.suppress_ragged_eofs = False
            wire.send(request(gateway, "GET", "/v1/organizations/org_xyz789/knowledge/connectors/things",
                              [f"X-Fault: {fault}", f"X-Id: {identity}"]).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
            answer = wire.read(head=True)
            upstream.relayed(identity)
            assert answer.status == 200 and answer["transfer-encoding"] is None
            try:
                while wire.socket.recv(1 << 16):
                    pass
                assert whole or answer["content-length"], f"{fault}: a broken body ends in good order"
            except (ssl.SSLEOFError, ConnectionResetError):
                assert not whole, f"{fault}: a whole body ends like a broken one"


LARGE = b"x" * (4 << 20)


@pytest.mark.parametrize("fault", expected.EARLY)
def test_answers_before_the_body_was_read(gateway, upstream, fault):
    row = expected.EARLY[fault]
    with gateway.wire() as wire:
        well(gateway, wire)
        try:
            identity, outcome = play(gateway, wire, fault, "POST", LARGE, on_head=upstream.relayed)
        except OSError as error:
            raise AssertionError("the connection went before the answer could be read") from error
        check_answer(outcome, row, identity)
        assert len(upstream.received(identity)) == 1
        if not outcome.answer.closes:
            well(gateway, wire)
    with gateway.wire() as wire:
        well(gateway, wire)


@pytest.mark.parametrize("method", BODIES)
def test_a_refused_connection_is_made_elsewhere(tmp_path, method):
    """No byte was sent, so even a POST may go to the other endpoint."""
    with Refusing() as refusing, Upstream() as upstream:
        gateway = behind(tmp_path, refusing, upstream)
        try:
            with gateway.wire() as wire:
                for _ in range(10):
                    identity, outcome = play(gateway, wire, "well", method, BODIES[method])
                    assert outcome.answer.status == 200 and len(upstream.received(identity)) == 1
        finally:
            gateway.kill()


@pytest.mark.parametrize("method, tries", [("GET", 2), ("HEAD", 2), ("PUT", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)])
def test_what_is_sent_twice(gateway, upstream, method, tries):
    """Only over a reused connection, only if no byte came back, only idempotent requests (RFC 9110, section 9.2.2)."""
    with gateway.wire() as wire:
        well(gateway, wire)
        identity, outcome = play(gateway, wire, "close-before-head", method, b"{}" if method[0] == "P" else None)
        assert outcome.answer.status == 502
        assert len(upstream.received(identity)) == tries, upstream.received(identity)


def test_a_new_connection_is_not_tried_twice(gateway, upstream):
    upstream.disconnect()
    with gateway.wire() as wire:
        identity, outcome = play(gateway, wire, "close-before-head")
        assert outcome.answer.status == 502 and len(upstream.received(identity)) == 1


def test_a_restarted_upstream_is_not_noticed(gateway, upstream):
    """Connections that died in the pool cause no error if the gateway could detect it."""
    with gateway.wire() as wire:
        for method in ("GET", "POST") * 5:
            well(gateway, wire)
            upstream.disconnect()
            identity, outcome = play(gateway, wire, "well", method, BODIES[method])
            assert outcome.answer.status == 200, outcome.answer
            assert len(upstream.received(identity)) == 1


def test_what_an_error_keeps(gateway):
    with gateway.wire() as wire:
        assert play(gateway, wire, "error-429")[1].answer["retry-after"] == "7"
        assert play(gateway, wire, "error-503")[1].answer["retry-after"] == "9"
        assert play(gateway, wire, "error-401")[1].answer["www-authenticate"], "RFC 9110, section 15.5.2"
        assert play(gateway, wire, "error-407")[1].answer["proxy-authenticate"] is None
