"""The operator's view of a running gateway: reloads, refusals, warnings, the state folder, the gateway's own certificate."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

import pytest

from gateway import STATE, Gateway, binary, environment, one_clear_line, wait_for

pytestmark = pytest.mark.lifecycle


def policy(gateway):
    return json.loads(gateway.admin("/policy")[1])


def reloads(gateway, what, result):
    pattern = rf'^gateway_reloads_total{{what="{what}",result="{result}"}} (\d+)'
    return int(re.search(pattern, gateway.admin("/metrics")[1], re.M).group(1))


def test_a_refused_certificate_is_seen_by_operators(start, policies, certificates):
    """An unusable new certificate is in the log, in /policy and in a metric until a good one comes."""
    gateway = start(policies.certificates(certificates, "localhost"), ca=certificates / "ca.pem")
    assert policy(gateway)["certificates"]["last_refused_reload"] is None
    good = (certificates / "localhost.key").read_bytes()
    (certificates / "localhost.key").write_text("no key")
    gateway.signal(signal.SIGHUP)
    seen = wait_for(lambda: policy(gateway)["certificates"]["last_refused_reload"], "the refusal in /policy")
    assert "localhost" in seen["reason"] and seen["at"]
    assert reloads(gateway, "certificates", "rejected") >= 1 and "certificates not reloaded" in gateway.output
    gateway.signal(signal.SIGHUP)
    wait_for(lambda: "policies unchanged (SIGHUP)" in gateway.output, "another reload")
    assert policy(gateway)["certificates"]["last_refused_reload"], "the files are as bad as they were"
    (certificates / "localhost.key").write_bytes(good)
    gateway.signal(signal.SIGHUP)
    wait_for(lambda: policy(gateway)["certificates"]["last_refused_reload"] is None, "the good key")
    assert reloads(gateway, "certificates", "accepted") >= 1


def test_a_refused_upstream_is_seen_by_operators(start, policies):
    """An upstream without its secret is in the log, in /policy and in a metric; the old upstream stays."""
    policies.settings(upstream={"url": "http://127.0.0.1:9"})
    gateway = start(policies)
    bad = {"header": "Authorization", "secretFile": "absent"}
    policies.settings(upstream={"url": "http://127.0.0.1:9", "credential": bad})
    seen = wait_for(lambda: policy(gateway)["upstream"]["last_refused_reload"], "the refusal in /policy", 15)
    assert "absent" in seen["reason"]
    assert reloads(gateway, "upstream", "rejected") >= 1 and "upstream not reloaded" in gateway.output
    policies.settings(upstream={"url": "http://127.0.0.1:7"})
    wait_for(lambda: policy(gateway)["upstream"]["last_refused_reload"] is None, "the good upstream", 15)
    assert reloads(gateway, "upstream", "accepted") == 1 and reloads(gateway, "policies", "accepted") == 2


def test_what_takes_effect_with_the_next_start_is_told(start, policies):
    gateway = start(policies.settings(workers=1))
    policies.settings(listen="127.0.0.1:1", workers=2, sizes={"bodyMemory": "100MiB"})
    line = wait_for(lambda: re.search('.*"gateway.workers" has changed.*', gateway.output), "a line that tells it", 15)
    assert "restart the gateway" in line.group(0)
    assert policy(gateway)["needs_restart"] == ["gateway.workers", "gateway.sizes.bodyMemory"], "a flag decides on listen, whatever the policy says"
    policies.settings(workers=1, sizes={})
    wait_for(lambda: policy(gateway)["needs_restart"] == [], "the old value", 15)


def test_warnings_are_told_at_a_reload(start, policies):
    """Policy warnings are logged once at the start, and again at a reload."""
    policies.token("old", expires="2020-01-01")
    gateway = start(policies)
    warning = re.compile(r"^.*proof\.json5.*warning.*$", re.M)
    assert len(warning.findall(gateway.output)) == 1, gateway.output
    assert len(policy(gateway)["warnings"]) == 1
    policies.token("older", expires="2019-01-01")
    wait_for(lambda: len(policy(gateway)["warnings"]) == 2, "both warnings in /policy", 15)
    wait_for(lambda: len(warning.findall(gateway.output)) == 3, "both warnings in the log")


def test_a_reload_that_changes_nothing_is_told(start, policies):
    gateway = start(policies)
    gateway.signal(signal.SIGHUP)
    wait_for(lambda: "policies unchanged (SIGHUP)" in gateway.output, "the line for the one who asked")
    good = policies.read("routes.json5")
    policies.write("routes.json5", "{ oops")
    wait_for(lambda: "policies not reloaded" in gateway.output, "the mistake", 15)
    policies.write("routes.json5", good)
    wait_for(lambda: re.search("policies are valid again.*unchanged", gateway.output), "the repair", 15)
    assert policy(gateway)["last_refused_reload"] is None


def test_standard_output_has_json_lines_only(tmp_path, policies):
    """A program that reads the access log never gets a line for people, nor a token."""
    gateway = Gateway(tmp_path / "state", policies.folder)
    gateway.apart = tmp_path / "access.log"
    try:
        gateway.start()
        assert gateway.call("GET", STATE).status == 200
        policies.write("routes.json5", "{ oops")
        wait_for(lambda: "policies not reloaded" in gateway.output, "the mistake", 15)
        assert gateway.stop() == 0
    finally:
        gateway.kill()
    lines = gateway.apart.read_text().splitlines()
    assert lines and all(json.loads(line)["status"] == 200 for line in lines)
    assert "cgw_" not in gateway.apart.read_text() and "curl" in gateway.output


def test_a_state_folder_of_another_user(policies):
    """The error names the permission, and not another process."""
    for mode, owner in ((0o700, 0), (0o755, 0)):
        folder = tempfile.mkdtemp()
        try:
            os.chmod(folder, 0o755)
            (Path(folder) / "state").mkdir()
            os.chmod(Path(folder) / "state", mode if os.geteuid() == 0 else mode & 0o055)
            shutil.copytree(policies.folder, Path(folder) / "policies")
            command = [binary(), "serve", "--listen", "127.0.0.1:0", "--admin", "off", "--policies", f"{folder}/policies",
                       "--state", f"{folder}/state"]
            user = {"user": 65534} if os.geteuid() == 0 else {}
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
                                  env=environment(), cwd=folder, **user)
            assert done.returncode == 1, done
            one_clear_line(done.stderr, "cannot read and write", "--state", "chown")
            assert "in use" not in done.stderr
        finally:
            os.chmod(Path(folder) / "state", 0o755)
            shutil.rmtree(folder)


def certificate_days(path):
    text = subprocess.run(["openssl", "x509", "-noout", "-startdate", "-enddate", "-in", str(path)], capture_output=True,
                          text=True, check=True).stdout
    begin, end = (datetime.strptime(value, "%b %d %H:%M:%S %Y %Z") for value in re.findall("=(.*)", text))
    return (end - begin).days


def test_the_gateways_own_certificate_is_short_lived(fresh):
    """The server's certificate is valid for 90 days and a day of slack; its authority longer, for this machine's names only."""
    assert certificate_days(fresh.state / "server.pem") <= 91 < certificate_days(fresh.state / "ca.pem")
    text = subprocess.run(["openssl", "x509", "-noout", "-text", "-in", str(fresh.state / "ca.pem")], capture_output=True,
                          text=True, check=True).stdout
    assert "Name Constraints: critical" in text and "DNS:localhost" in text
    assert os.stat(fresh.state / "ca-key.pem").st_mode & 0o777 == 0o600


def test_the_gateways_own_certificate_is_renewed(start, policies):
    """In the last third of its life it is replaced, without a restart, by the authority that clients trust."""
    gateway = start(policies)
    state, authority = gateway.state, (gateway.state / "ca.pem").read_bytes()
    aged = ["openssl", "req", "-x509", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "20",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(state / "server-key.pem"), "-out",
            str(state / "server.pem")]
    with gateway.wire() as open_before:
        subprocess.run(aged, check=True, capture_output=True)
        gateway.signal(signal.SIGHUP)
        wait_for(lambda: "the gateway renewed its own certificate" in gateway.output, "the renewal", 15)
        assert certificate_days(state / "server.pem") > 80
        assert gateway.call("GET", STATE).status == 200, "clients trust it as before"
        assert gateway.call("GET", STATE, wire=open_before).status == 200, "open connections go on"
    assert (state / "ca.pem").read_bytes() == authority
    assert gateway.stop() == 0
    subprocess.run(aged, check=True, capture_output=True)
    again = start(policies, state=state)
    assert certificate_days(state / "server.pem") > 80 and (state / "ca.pem").read_bytes() == authority
    assert again.call("GET", STATE, token=gateway.token).status == 200
