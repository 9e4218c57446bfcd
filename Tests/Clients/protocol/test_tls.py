"""TLS: versions, tickets across workers, certificates by name, certificates replaced on disk."""

import ssl
import subprocess

import pytest

from gateway import STATE, wait_for

pytestmark = pytest.mark.tls


def context(gateway, least=None, most=None, ca=None):
    made = ssl.create_default_context(cafile=str(ca or gateway.ca))
    if most in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        made.set_ciphers("ALL:@SECLEVEL=0")
    made.minimum_version = least or ssl.TLSVersion.MINIMUM_SUPPORTED
    made.maximum_version = most or ssl.TLSVersion.MAXIMUM_SUPPORTED
    return made


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(shared, version):
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        shared.wire(context=context(shared, version, version))


@pytest.mark.parametrize("version, name", [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")])
def test_new_versions(shared, version, name):
    with shared.wire(context=context(shared, version, version)) as wire:
        assert wire.socket.version() == name
        assert shared.call("GET", STATE, wire=wire).status == 200
        cipher = wire.socket.cipher()[0]
        assert ("GCM" in cipher or "CHACHA20" in cipher) and (name == "TLSv1.3" or "ECDHE" in cipher)


def speaks(gateway, version):
    try:
        gateway.wire(context=context(gateway, version, version)).close()
        return True
    except (ssl.SSLError, ConnectionResetError):
        return False


def test_a_policy_may_ask_for_1_3(start, policies):
    gateway = start(policies.settings(tls={"minimumVersion": "1.3"}))
    assert speaks(gateway, ssl.TLSVersion.TLSv1_3) and not speaks(gateway, ssl.TLSVersion.TLSv1_2)
    policies.settings(tls={"minimumVersion": "1.2"})
    wait_for(lambda: speaks(gateway, ssl.TLSVersion.TLSv1_2), "the reload")


@pytest.mark.parametrize("cipher", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-RSA-AES128-SHA", "AES128-GCM-SHA256",
                                    "DHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA"])
def test_weak_ciphers_are_refused(shared, cipher):
    made = context(shared, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    made.set_ciphers(cipher + ":@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        shared.wire(context=made)


@pytest.mark.parametrize("offered, chosen", [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), (["h2"], None), ([], None)])
def test_alpn(shared, offered, chosen):
    made = context(shared)
    if offered:
        made.set_alpn_protocols(offered)
    with shared.wire(context=made) as wire:
        assert wire.socket.selected_alpn_protocol() == chosen
        assert shared.call("GET", STATE, wire=wire).status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tickets_are_good_at_every_worker(start, version):
    gateway = start(workers=2)
    made = context(gateway, version, version)
    with gateway.wire(context=made) as wire:
        assert gateway.call("GET", STATE, wire=wire).status == 200
        assert not wire.socket.session_reused
        session = wire.socket.session
    # The kernel spreads connections over the workers: 16 connections almost surely reach both.
    for _ in range(16):
        with gateway.wire(context=made, session=session) as wire:
            assert gateway.call("GET", STATE, wire=wire).status == 200
            assert wire.socket.session_reused


def test_the_local_authority(fresh):
    """Made once, with a private key for the owner only, valid for all three names."""
    assert fresh.ca.exists()
    keys = [path for path in fresh.state.rglob("*") if path.is_file() and "PRIVATE KEY" in path.read_text(errors="ignore")]
    assert keys and all(path.stat().st_mode & 0o777 == 0o600 for path in keys), keys
    for name in ("localhost", "127.0.0.1", "::1"):
        with fresh.wire(name=name) as wire:
            assert fresh.call("GET", STATE, wire=wire).status == 200


def test_the_authority_stays_over_a_restart(start, tmp_path):
    first = start(state=tmp_path / "kept")
    ca, token = first.ca.read_bytes(), first.token
    assert first.stop() == 0
    second = start(state=tmp_path / "kept")
    assert second.ca.read_bytes() == ca
    assert second.call("GET", STATE, token=token).status == 200
    assert token not in second.output, "the demo token is shown once"


def serial(gateway, folder, name="localhost"):
    with gateway.wire(context=context(gateway, ca=folder / "ca.pem"), name=name) as wire:
        return wire.socket.getpeercert()["serialNumber"], wire.socket.getpeercert()["subjectAltName"]


def test_certificates_by_name(start, policies, certificates):
    policies.certificates(certificates, "localhost", "other")
    gateway = start(policies, ca=certificates / "ca.pem")
    assert ("DNS", "localhost") in serial(gateway, certificates)[1]
    assert ("DNS", "other.example.com") in serial(gateway, certificates, "other.example.com")[1]
    assert ("DNS", "other.example.com") in serial(gateway, certificates, "a.wild.example.com")[1]
    assert ("DNS", "other.example.com") in serial(gateway, certificates, "OTHER.example.com")[1]
    # An unknown name gets the first certificate, and so does a client without a name.
    made = context(gateway, ca=certificates / "ca.pem")
    made.check_hostname = False
    for name in ("unknown.example.com", None):
        with gateway.wire(context=made, name=name) as wire:
            assert ("DNS", "localhost") in wire.socket.getpeercert()["subjectAltName"]


def test_replaced_certificates_are_picked_up(start, policies, certificates):
    policies.certificates(certificates, "localhost")
    gateway = start(policies, ca=certificates / "ca.pem")
    before = serial(gateway, certificates)[0]
    with gateway.wire() as old:
        assert gateway.call("GET", STATE, wire=old).status == 200
        # Between the two renames certificate and key do not match: until then the old pair must stay in force.
        (certificates / "renewed.pem").rename(certificates / "localhost.pem")
        for _ in range(20):
            assert serial(gateway, certificates)[0] == before
        (certificates / "renewed.key").rename(certificates / "localhost.key")
        wait_for(lambda: serial(gateway, certificates)[0] != before, "the new certificate", 15)
        assert gateway.call("GET", STATE, wire=old).status == 200, "the old connection lives on"


def test_no_renegotiation(shared):
    script = f"""
    (printf 'R\\n'; read -t 3 line) | openssl s_client -tls1_2 -connect 127.0.0.1:{shared.port} -CAfile {shared.ca} 2>&1
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert "RENEGOTIATING" in done.stdout
    assert "no renegotiation" in done.stdout or "error" in done.stdout, done.stdout[-600:]
