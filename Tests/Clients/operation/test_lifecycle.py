"""Start, reload, drain, crash: an operator's tasks and their effects."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request

import pytest

from gateway import CONNECTION, ENDED, JOBS, STATE, binary, environment, free_port, one_clear_line, wait_for
from wire import envelope

pytestmark = pytest.mark.lifecycle


def refuses_to_start(tmp_path, *arguments, policies=None, status=1, **variables):
    """Runs `serve` where it cannot start; checks exit code and form, and returns the output."""
    command = [binary(), "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--state", tmp_path / "refused",
               *(["--policies", policies] if policies else []), *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
                          env=environment(**variables))
    assert done.returncode in (status if isinstance(status, tuple) else (status,)), done
    assert "Fatal error" not in done.stderr and "Trace" not in done.stderr
    return done.stderr + done.stdout


def test_a_busy_port(tmp_path, policies):
    keeper, port = free_port()
    with keeper:
        text = refuses_to_start(tmp_path, "--listen", f"127.0.0.1:{port}", policies=policies.folder)
        one_clear_line(text, str(port), "in use")
        text = refuses_to_start(tmp_path, "--admin", f"127.0.0.1:{port}", policies=policies.folder)
        one_clear_line(text, str(port), "in use")


def test_a_second_gateway_on_the_same_port(start, fresh, tmp_path, policies):
    """SO_REUSEPORT among the workers must not let a second gateway share the port unnoticed."""
    text = refuses_to_start(tmp_path, "--listen", f"127.0.0.1:{fresh.port}", policies=policies.folder)
    one_clear_line(text, str(fresh.port), "in use")


def test_a_second_gateway_on_the_same_state(fresh, policies):
    """Two processes that write one journal would destroy it."""
    done = subprocess.run(
        [binary(), "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--state", str(fresh.state),
         "--policies", str(policies.folder)], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
        env=environment())
    assert done.returncode == 1, done
    one_clear_line(done.stderr + done.stdout, str(fresh.state))


@pytest.mark.parametrize("pair", [("absent.pem", "absent.key"), ("localhost.pem", "mismatch.key"),
                                  ("localhost.key", "localhost.pem"), ("localhost.pem", "absent.key")])
def test_a_bad_certificate(tmp_path, policies, certificates, pair):
    certificate, key = (str(certificates / name) for name in pair)
    policies.settings(tls={"certificates": [{"certificate": certificate, "key": key}]})
    text = refuses_to_start(tmp_path, policies=policies.folder)
    one_clear_line(text)
    assert certificate in text or key in text, text


def test_an_expired_certificate_is_said(start, policies, certificates):
    gateway = start(policies.certificates(certificates, "expired"), ca=certificates / "ca.pem")
    assert "expired" in gateway.output


def test_unreadable_policies(tmp_path, policies):
    one_clear_line(refuses_to_start(tmp_path, policies=tmp_path / "absent"), "absent")
    (tmp_path / "empty").mkdir()
    assert "error" in refuses_to_start(tmp_path, policies=tmp_path / "empty").lower()
    policies.write("routes.json5", "{ routes: { oops")
    text = refuses_to_start(tmp_path, policies=policies.folder)
    assert "routes.json5:1:" in text and "^" in text, text


def test_an_unusable_state_directory(tmp_path, policies):
    (tmp_path / "file").write_text("")
    text = refuses_to_start(tmp_path, "--state", tmp_path / "file" / "state", policies=policies.folder)
    one_clear_line(text, "state")


@pytest.mark.parametrize("arguments", [["--listen", "nonsense"], ["--listen", "127.0.0.1:99999"], ["--workers", "0"],
                                       ["--workers", "x"], ["--nonsense"], ["--listen"], ["--admin", "nowhere"],
                                       ["--workers", "1025"], ["--state", ""]])
def test_bad_arguments(tmp_path, policies, arguments):
    text = refuses_to_start(tmp_path, *arguments, policies=policies.folder, status=2)
    one_clear_line(text, arguments[0])


def test_variables_do_what_flags_do(tmp_path, policies):
    process = subprocess.Popen(
        [binary()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, cwd=tmp_path,
        env=environment(GATEWAY_LISTEN="127.0.0.1:0", GATEWAY_ADMIN="127.0.0.1:0", GATEWAY_WORKERS="1",
                        GATEWAY_POLICIES=str(policies.folder), GATEWAY_STATE=str(tmp_path / "by-variable")))
    try:
        wait_for(lambda: (tmp_path / "by-variable" / "ca.pem").exists(), "a state directory", 20)
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout))
        reader.start()
        wait_for(lambda: any("https://127.0.0.1:" in line for line in lines), "the line that tells the port", 20)
        process.terminate()
        assert process.wait(20) == 0
        reader.join(5)
    finally:
        process.kill()


@pytest.mark.parametrize("place", ["full disk", "closed pipe"])
def test_what_it_says_need_not_be_read(tmp_path, policies, place):
    """If standard error cannot be written, a log line is lost; the gateway continues."""
    if place == "full disk":
        errors = open("/dev/full", "wb")
    else:
        reader, writer = os.pipe()
        os.close(reader)
        errors = os.fdopen(writer, "wb")
    keeper, admin = free_port()
    keeper.close()
    with errors:
        process = subprocess.Popen(
            [binary(), "--listen", "127.0.0.1:0", "--admin", f"127.0.0.1:{admin}", "--policies", str(policies.folder), "--state",
             str(tmp_path / "state")], stdout=subprocess.DEVNULL, stderr=errors, stdin=subprocess.DEVNULL,
            env=environment())
    try:
        wait_for(lambda: process.poll() is not None or answers(admin, "/readyz"), "readiness")
        policies.write("routes.json5", "{ routes: { oops")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: process.poll() is not None or "routes.json5:1" in answers(admin, "/policy"), "the mistake is found")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()


def answers(port, path):
    """The response of the admin listener; None while it does not respond."""
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10).read().decode()
    except OSError:
        return ""


def version(gateway):
    return gateway.call("GET", STATE)["x-policy-version"]


def test_a_changed_policy_is_in_force_at_once(start, policies):
    gateway = start(policies)
    before = version(gateway)
    with gateway.wire() as wire:
        assert gateway.call("GET", STATE, wire=wire).status == 200
        token = policies.token("new")
        wait_for(lambda: gateway.call("GET", STATE, token=token).status == 200, "the new token", 15)
        assert version(gateway) != before
        assert gateway.call("GET", STATE, wire=wire).status == 200, "connections outlive a reload"
    assert gateway.call("GET", STATE).status == 200, "the demo token outlives a reload"
    policies.organizations.clear()
    policies.write("organizations/proof.json5", "{}")
    wait_for(lambda: gateway.call("GET", STATE, token=token).status == 401, "the token's end", 15)


def test_a_policy_folder_is_replaced_as_a_whole(start, policies):
    """Deployments move a new folder to the path of the old one, or change a link to it."""
    gateway = start(policies)
    before = version(gateway)
    aside = policies.folder.with_name("aside")
    policies.folder.rename(aside)
    wait_for(lambda: "cannot be read" in gateway.admin("/policy")[1], "the missing folder to be noticed", 15)
    policies.folder.symlink_to(aside)
    limits = policies.read("limits.json5")
    policies.write("limits.json5", limits.replace('"20/min"', '"21/min"'))
    wait_for(lambda: version(gateway) != before, "an edit in the new folder", 15)
    other = policies.folder.with_name("other")
    shutil.copytree(aside, other)
    (other / "limits.json5").write_text(limits)
    turned = policies.folder.with_name("turned")
    turned.symlink_to(other)
    turned.replace(policies.folder)
    wait_for(lambda: version(gateway) == before, "the folder that the link names now", 15)


def test_sighup_reloads(start, policies):
    gateway = start(policies)
    before = version(gateway)
    policies.token("new")
    gateway.signal(signal.SIGHUP)
    wait_for(lambda: version(gateway) != before, "the new version", 15)


def test_a_bad_edit_keeps_the_last_good_set(start, policies):
    gateway = start(policies)
    before, good = version(gateway), policies.read("routes.json5")
    policies.write("routes.json5", good.replace('scope: "connectors:read"', 'scope: "connectors:raed"', 1))
    gateway.signal(signal.SIGHUP)
    text = wait_for(lambda: "raed" in (seen := gateway.admin("/policy")[1]) and seen, "the refused reload in /policy", 15)
    assert "routes.json5" in text and before in text
    assert version(gateway) == before and gateway.admin("/readyz")[0] == 200
    assert "raed" in gateway.output, "the operator's log tells it too"
    policies.write("routes.json5", good + "\n// a remark\n")
    policies.token("after")
    gateway.signal(signal.SIGHUP)
    wait_for(lambda: version(gateway) != before, "the next good set", 15)


def test_a_reload_tells_what_asked_for_it(start, policies):
    gateway = start(policies)
    policies.token("new")
    wait_for(lambda: "policies reloaded (a file changed)" in gateway.output, "the changed file", 15)
    policies.write("organizations/bad.json5", "{ oops")
    wait_for(lambda: "policies not reloaded (a file changed)" in gateway.output, "the mistake", 15)
    assert "SIGHUP" not in gateway.output
    gateway.signal(signal.SIGHUP)
    wait_for(lambda: "policies not reloaded (SIGHUP)" in gateway.output, "the signal", 15)


def test_leases_and_limits_survive_a_reload(start, policies):
    gateway = start(policies.without_resends())
    job = gateway.trigger().json["job_id"]
    before = version(gateway)
    policies.token("new")
    gateway.signal(signal.SIGHUP)
    wait_for(lambda: version(gateway) != before, "the new version", 15)
    if gateway.job(job)["status"] not in ENDED:
        envelope(gateway.trigger(), 409)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drain(start, policies, number):
    policies.settings(timeouts={"drainDelay": "2s"})
    gateway = start(policies)
    body = json.dumps({"connection_id": CONNECTION, "job_type": "sync"})
    head = (f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
    with gateway.wire() as in_flight, gateway.wire() as idle:
        assert gateway.call("GET", STATE, wire=idle).status == 200
        in_flight.send(head + body[:10])
        gateway.signal(number)
        wait_for(lambda: gateway.admin("/readyz")[0] == 503, "readiness to fail", 5)
        assert gateway.admin("/healthz")[0] == 200, "alive while draining"
        # A client that has not been told yet is still served.
        assert gateway.call("GET", STATE).status == 200
        in_flight.send(body[10:])
        answer = in_flight.final()
        assert answer.status == 200, "a request in flight finishes"
        idle.expect_close(20)
    assert gateway.process.wait(20) == 0
    with pytest.raises(OSError):
        gateway.wire()


def test_a_drain_costs_no_client_a_request(start, policies):
    """With the last response, clients learn that their connection will close, before it does."""
    policies.settings(timeouts={"drainDelay": "2s"}).generous()
    gateway = start(policies)
    lost, told = [], []

    def client():
        wire = gateway.wire()
        while True:
            try:
                answer = gateway.call("GET", JOBS, wire=wire)
            except (EOFError, OSError) as error:
                return lost.append(error)
            if answer.closes:
                wire.close()
                return told.append(answer.status)

    clients = [threading.Thread(target=client) for _ in range(8)]
    for one in clients:
        one.start()
    wait_for(lambda: len(gateway.log_lines()) > 50, "load")
    gateway.signal(signal.SIGTERM)
    for one in clients:
        one.join(20)
    assert lost == [] and told == [200] * 8
    assert gateway.process.wait(20) == 0


def test_drain_does_not_wait_for_ever(start, policies):
    policies.settings(timeouts={"drainDelay": "0s", "drain": "2s"})
    gateway = start(policies)
    with gateway.wire() as wire:
        wire.send(f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.token}\r\n"
                  "Content-Length: 100\r\n\r\n{")
        assert gateway.call("GET", STATE).status == 200
        begun = time.monotonic()
        gateway.signal(signal.SIGTERM)
        assert gateway.process.wait(15) == 0
        assert time.monotonic() - begun < 10


def test_a_running_job_survives_stop_and_start(start, policies):
    policies.generous()
    gateway = start(policies)
    job = gateway.trigger().json["job_id"]
    state, token = gateway.state, gateway.token
    assert gateway.stop() == 0
    again = start(policies, state=state)
    again.token = token
    done = again.finished(job)
    assert done["status"] in ("succeeded", "failed", "cancelled")
    assert again.trigger().status == 200


@pytest.mark.parametrize("moment", [0, 0.3, 1.0])
def test_kill_9_and_start_again(start, policies, moment):
    policies.generous()
    gateway = start(policies)
    wanted = {"state": {"users": {"cursor": "2020-01-01T00:00:00Z"}}, "state_type": "stream"}
    assert gateway.call("PATCH", STATE, wanted).status == 200
    job = gateway.trigger().json["job_id"]
    time.sleep(moment)  # the time of the crash is the parameter of the test
    gateway.kill()
    again = start(policies, state=gateway.state)
    again.token = gateway.token
    seen = again.job(job)
    if seen["status"] not in ENDED:
        answer = again.trigger()
        assert answer.status == 409 or again.job(job)["status"] in ENDED, "a job that runs again holds its lease"
    assert again.finished(job)["status"] in ("succeeded", "failed")
    assert [one["job_id"] for one in again.jobs()["data"]].count(job) == 1
    assert again.trigger().status == 200


def test_a_torn_last_record_is_dropped_and_said(start, policies):
    gateway = start(policies.generous())
    job = gateway.trigger().json["job_id"]
    gateway.finished(job)
    gateway.kill()
    journal = max((path for path in gateway.state.rglob("*journal*") if path.is_file()), key=lambda path: path.stat().st_size)
    with open(journal, "ab") as file:
        file.write(b"\x07\x00\x00\x00torn")
    again = start(policies, state=gateway.state)
    again.token = gateway.token
    assert again.job(job)["job_id"] == job
    assert "journal" in again.output.lower()


def test_a_damaged_middle_is_a_refusal_to_start(start, policies, tmp_path):
    gateway = start(policies.generous())
    for _ in range(3):
        gateway.finished(gateway.trigger().json["job_id"])
    gateway.kill()
    journal = max((path for path in gateway.state.rglob("*journal*") if path.is_file()), key=lambda path: path.stat().st_size)
    data = bytearray(journal.read_bytes())
    data[len(data) // 3] ^= 0x40
    journal.write_bytes(data)
    done = subprocess.run(
        [binary(), "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--state", str(gateway.state),
         "--policies", str(policies.folder)], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
        env=environment())
    assert done.returncode == 1, done
    one_clear_line(done.stderr + done.stdout, os.path.basename(journal))


def test_no_file_descriptor_leaks(shared):
    def count():
        return len(os.listdir(f"/proc/{shared.process.pid}/fd"))

    shared.call("GET", STATE)
    before = count()
    for _ in range(100):
        shared.call("GET", STATE)
    wait_for(lambda: count() <= before + 2, "closed sockets", 10)


def test_a_failed_first_start_does_not_lose_the_demo_token(start, tmp_path, policies):
    """The token is shown once: not before it is usable, but not too late either."""
    keeper, port = free_port()
    state = tmp_path / "first"
    with keeper:
        text = refuses_to_start(tmp_path, "--listen", f"127.0.0.1:{port}", "--state", state, policies=policies.folder)
    gateway = start(policies, state=state)
    if gateway.token is None:
        gateway.token = re.search(r"cgw_[A-Za-z0-9_-]+", text).group(0)
    assert gateway.call("GET", STATE).status == 200
