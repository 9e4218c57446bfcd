"""TLS to the upstream: the requested name, the gateway's client certificate, and untrusted upstreams."""

import shutil
import ssl
import subprocess

import pytest

import expected
from certificates import server_context
from expected import check_answer
from faulty import Upstream
from gateway import BASE, JOBS, ROOT, free_port
from proxied import THING, play, well
from upstreams import Server
from wire import envelope

pytestmark = pytest.mark.upstream
REFUSED = expected.failed("tls_alert_received")
DISTRUSTED = expected.failed("tls_certificate_error")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Certificates of two independent authorities."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ours", "strange"):
        subprocess.run([ROOT / "Tests/Scripts/make-certs.sh", folder / name], check=True, stdin=subprocess.DEVNULL)
    return folder


@pytest.fixture
def front(front):
    def with_tls(url, host=None, **tls):
        return front(url, **{name: value for name, value in (("host", host), ("tls", tls)) if value})

    return with_tls


def ours(folder, **more):
    return {"authorities": f"{folder}/ours/ca.pem", **more}


def shown(folder, authority="ours"):
    """The settings for a client certificate of the gateway."""
    return {"certificate": f"{folder}/{authority}/client.pem", "key": f"{folder}/{authority}/client.key"}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("host, settings, certificate, wanted", [
    ("localhost", {}, "localhost", "localhost"), ("127.0.0.1", {}, "localhost", None),
    ("127.0.0.1", {"serverName": "other.example.com"}, "other", "other.example.com"),
    ("localhost", {"serverName": "a.wild.example.com"}, "other", "a.wild.example.com"),
])
def test_the_name_that_the_upstream_sees(front, folder, version, host, settings, certificate, wanted):
    """Addresses are no names (RFC 6066, section 3); `Host` is that of the URL in any case."""
    context, names = server_context(folder / "ours", certificate), []
    context.minimum_version = context.maximum_version = version
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with Upstream(context) as upstream:
        gateway = front(f"https://{host}:{upstream.port}", **ours(folder, **settings))
        with gateway.wire() as wire:
            identity = well(gateway, wire)
            well(gateway, wire)
        assert names == [wanted], "one handshake for two requests"
        assert upstream.received(identity)[0]["host"] == f"{host}:{upstream.port}"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_upstream_of_a_strange_authority(front, folder, method):
    with Upstream(server_context(folder / "strange", "localhost")) as upstream:
        gateway = front(f"https://localhost:{upstream.port}", **ours(folder))
        with gateway.wire() as wire:
            for _ in range(2):
                identity, outcome = play(gateway, wire, "well", method, b"{}" if method == "POST" else None)
                check_answer(outcome, DISTRUSTED, identity)
                assert not outcome.answer.closes
        assert upstream.received() == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_gateways_certificate(front, folder, version, method):
    """The upstream accepts the right certificate, but none or an unknown one fails; that is not the client's error."""
    context = server_context(folder / "ours", "localhost", client=folder / "ours" / "ca.pem")
    context.minimum_version = context.maximum_version = version
    body = b"{}" if method == "POST" else None
    with Upstream(context) as upstream:
        url = f"https://localhost:{upstream.port}"
        gateway = front(url, **ours(folder, **shown(folder)))
        with gateway.wire() as wire:
            identity, outcome = play(gateway, wire, "well", method, body)
            assert outcome.answer.status == 200 and len(upstream.received(identity)) == 1
        names = upstream.link_of(identity).socket.getpeercert()["subject"]
        assert names == ((("commonName", "client"),),)
        for other in ({}, shown(folder, "strange")):
            gateway = front(url, **ours(folder, **other))
            with gateway.wire() as wire:
                for _ in range(2):
                    identity, outcome = play(gateway, wire, "well", method, body)
                    check_answer(outcome, REFUSED, identity)
                    assert upstream.received(identity) == [] and not outcome.answer.closes


NGINX = """
daemon off; worker_processes 1; master_process off; pid {folder}/nginx.pid; error_log stderr info;
events {{ worker_connections 64; }}
http {{
    access_log off; default_type text/plain;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    ssl_client_certificate {certificates}/ca.pem; ssl_verify_client on;
    server {{
        listen 127.0.0.1:{port} ssl default_server; server_name localhost;
        ssl_certificate {certificates}/localhost.pem; ssl_certificate_key {certificates}/localhost.key;
        location {base} {{ return 200 "first $ssl_server_name $ssl_client_verify $ssl_client_s_dn"; }}
    }}
    server {{
        listen 127.0.0.1:{port} ssl; server_name other.example.com;
        ssl_certificate {certificates}/other.pem; ssl_certificate_key {certificates}/other.key;
        location {base} {{ return 200 "second $ssl_server_name $ssl_client_verify $ssl_client_s_dn"; }}
    }}
}}
"""


@pytest.fixture
def nginx(tmp_path, folder):
    keeper, port = free_port()
    keeper.close()
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(NGINX.format(folder=tmp_path, certificates=folder / "ours", port=port, base=BASE))
    server = Server([shutil.which("nginx") or "/usr/sbin/nginx", "-c", configuration, "-p", tmp_path], port, tmp_path)
    yield server
    server.stop()


def test_nginx_that_asks_for_a_certificate(front, folder, nginx):
    """It serves several names, and chooses its certificate by the requested one."""
    other = {"serverName": "other.example.com"}
    for host, settings, wanted in (("localhost", {}, "first localhost"), ("127.0.0.1", {}, "first "),
                                   ("127.0.0.1", other, "second other.example.com")):
        # When it verifies clients it wants the same name in Host; otherwise it sends 421.
        gateway = front(f"https://{host}:{nginx.port}", settings.get("serverName"), **ours(folder, **settings, **shown(folder)))
        answer = gateway.call("GET", THING)
        assert (answer.status, answer.body.decode()) == (200, f"{wanted} SUCCESS CN=client"), answer


@pytest.mark.parametrize("scheme, settings, said", [
    ("https", {}, "client sent no required SSL certificate"), ("https", "strange", "client SSL certificate verify error"),
    ("http", None, "client sent plain HTTP request to HTTPS port")])
def test_nginx_does_not_let_the_gateway_in(front, folder, nginx, scheme, settings, said):
    """It responds to the request with 400, but the request was good."""
    tls = {} if settings is None else ours(folder, **(shown(folder, settings) if settings else {}))
    gateway = front(f"{scheme}://localhost:{nginx.port}", **tls)
    with gateway.wire() as wire:
        trigger = b'{"connection_id": "conn_abc123", "job_type": "sync"}'
        # The second trigger would conflict if the first had kept its lease.
        for method, path, body in (("GET", THING, None), ("POST", THING, b"{}"), ("POST", JOBS, trigger), ("POST", JOBS, trigger)):
            _, outcome = play(gateway, wire, "well", method, body, path)
            envelope(outcome.answer, 502, "BAD_GATEWAY")
            assert outcome.proxy_status == {"received-status": "400"}, "what came is said all the same"
    nginx.log.seek(0)
    assert said in nginx.log.read().decode(errors="replace")


def test_a_host_that_nginx_does_not_serve(front, folder, nginx):
    """It sends 421 if server name and Host differ; the gateway chose both."""
    gateway = front(f"https://localhost:{nginx.port}", **ours(folder, serverName="other.example.com", **shown(folder)))
    with gateway.wire() as wire:
        for method, body in (("GET", None), ("POST", b"{}")):
            _, outcome = play(gateway, wire, "well", method, body, THING)
            envelope(outcome.answer, 502, "BAD_GATEWAY")
            assert outcome.proxy_status == {"received-status": "421"}
