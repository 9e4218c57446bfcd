"""`gateway connectors`: the connector service alone, as a gateway on another machine uses it."""

import json
import os
import re
import signal
import subprocess
import threading

import pytest
import requests

from connectors import ORGANIZATION_FIELD, Connectors
from gateway import (
    CLEAR, CONNECTION, ENDED, JOBS, REFRESH, RUN, SOURCE_CONNECTION, STATE, Gateway, binary, environment, free_port, run,
    wait_for,
)
from wire import Wire, envelope

pytestmark = pytest.mark.connectors

QUICK = (100_000, 300)
LONG = (100_000, 600_000)
TRIGGER = {"connection_id": CONNECTION, "job_type": "sync"}


@pytest.fixture
def alone(tmp_path):
    """Starts connector services, which end with the test."""
    running = []

    def start(state=None, pace=QUICK, **options):
        service = Connectors(state or tmp_path / f"state{len(running)}", pace=pace, **options)
        running.append(service)
        return service.start()

    yield start
    for service in running:
        service.kill()


@pytest.fixture(scope="module")
def shared_alone(tmp_path_factory):
    """One service for all tests that leave no state behind."""
    service = Connectors(tmp_path_factory.mktemp("alone") / "state", pace=QUICK).start()
    yield service
    service.kill()


def refused(*arguments, **variables):
    """The single error line of a `gateway connectors` that does not start."""
    done = run("connectors", *arguments, **variables)
    assert done.returncode in (1, 2) and not done.stdout, done
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("gateway: "), done
    return lines[0]


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(flag):
    done = run("connectors", flag)
    assert done.returncode == 0 and not done.stderr, done
    for name in ("--listen", "--state", "--workers", "127.0.0.1:8445", "upstream: { url:", "/healthz",
                 "GATEWAY_CONNECTORS_LISTEN", "GATEWAY_CONNECTORS_STATE", "GATEWAY_CONNECTORS_WORKERS"):
        assert name in done.stdout, name
    assert "gateway connectors" in run("--help").stdout


def test_the_seeds_operations_with_requests(alone):
    service = alone()
    with requests.Session() as session:
        def call(method, path, status=200, **options):
            answer = session.request(method, service.url + path, timeout=30, **options)
            assert answer.status_code == status, (method, path, answer.text)
            if status == 204:
                assert not answer.content and "Content-Length" not in answer.headers, answer.headers
                return None
            assert answer.headers["Content-Type"] == "application/json" and answer.headers["Date"].endswith(" GMT")
            return answer.json()

        state = {"state": {"users": {"cursor": "2020-01-01T00:00:00Z"}}, "state_type": "stream"}
        assert call("PATCH", STATE, json=state) == state == call("GET", STATE)
        job = call("POST", JOBS, json=TRIGGER)
        assert job["connection_id"] == CONNECTION
        assert call("POST", JOBS, 409, json=TRIGGER)["error"]["details"]["active_job"]["id"] == job["job_id"]
        assert call("PATCH", STATE, 409, json=state)["error"]["code"] == "CONNECTOR_STATE_LOCKED"
        assert call("GET", f"{JOBS}/{job['job_id']}")["job_id"] == job["job_id"]
        call("DELETE", f"{JOBS}/{job['job_id']}", 204)
        assert service.finished(job["job_id"])["status"] == "cancelled"
        for path, status in ((REFRESH, "refreshing"), (CLEAR, "clearing")):
            assert call("POST", path, json={"streams": ["users"]}) == {"status": status}
            service.idle()
        kinds = [one["job_type"] for one in call("GET", f"{JOBS}?order_by=createdAt%7CASC")["data"]]
        assert kinds == ["sync", "refresh", "clear"]
        started = call("POST", RUN, headers=ORGANIZATION_FIELD)
        jobs = call("GET", f"/v1/source-connections/{SOURCE_CONNECTION}/jobs", headers=ORGANIZATION_FIELD)
        assert [one["id"] for one in jobs] == [started["id"]]
        assert call("POST", RUN, 400)["detail"], "nobody said for which organization"


def test_of_parallel_triggers_exactly_one_wins(alone):
    service = alone(pace=LONG)
    gate, statuses = threading.Barrier(20), []

    def one():
        with service.wire() as wire:
            gate.wait(30)
            statuses.append(service.trigger(wire=wire).status)

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [409] * 19


def test_two_clients_at_once_and_no_descriptor_is_left(shared_alone):
    def descriptors():
        return len(os.listdir(f"/proc/{shared_alone.process.pid}/fd"))

    before, wrong = descriptors(), []

    def client(number):
        with requests.Session() as session:
            for turn in range(100):
                path, status = ((STATE, 200), (f"{JOBS}/job_{number}_{turn}", 404), ("/healthz", 200))[turn % 3]
                fields = {"traceparent": f"00-{number:016x}{turn + 1:016x}-00000000000000ff-01"}
                answer = session.get(shared_alone.url + path, headers=fields, timeout=30)
                if answer.status_code != status:
                    wrong.append((path, answer.text))
                if status == 404 and answer.json()["error"]["trace_id"] != f"{number:016x}{turn + 1:016x}":
                    wrong.append((path, answer.text))

    threads = [threading.Thread(target=client, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]
    wait_for(lambda: descriptors() <= before, "all sockets closed")


def test_pipelined_requests(shared_alone):
    lines = [f"GET {STATE}", f"HEAD {STATE}", f"GET {JOBS}/job_absent", f"POST {JOBS}", "GET /healthz"]
    with shared_alone.wire() as wire:
        wire.send("".join(f"{line} HTTP/1.1\r\nHost: a\r\n\r\n" for line in lines * 20))
        for _ in range(20):
            state, head = wire.final(), wire.final(head=True)
            assert state.status == head.status == 200 and head["content-length"] == str(len(state.body))
            envelope(wire.final(), 404, "CONNECTOR_JOB_NOT_FOUND", traced=False)
            envelope(wire.final(), 400, "INVALID_JSON", traced=False)
            assert wire.final().json == {"status": "ok"}


def curl(service, path, *options):
    return subprocess.run(
        ["curl", "-sS", "-m", "30", *options, service.url + path], capture_output=True, text=True, timeout=60)


def test_curl(alone, tmp_path):
    service = alone()
    assert "HTTP/1.1 200 OK" in curl(service, STATE, "-I").stdout
    large = {"state": {"users": {"cursor": "2020-01-01T00:00:00Z", "note": "x" * 5_000_000}}, "state_type": "stream"}
    (tmp_path / "body").write_text(json.dumps(large))
    for more in ([], ["-H", "Transfer-Encoding: chunked"]):
        done = curl(service, STATE, "-v", "-X", "PATCH", "-H", "Expect: 100-continue", "--data-binary",
                    f"@{tmp_path / 'body'}", *more)
        assert "HTTP/1.1 100 Continue" in done.stderr and json.loads(done.stdout) == large, done.stderr
    done = curl(service, STATE, "-w", "%{num_connects}", "-o", "/dev/null", service.url + STATE, "-o", "/dev/null")
    assert done.stdout == "10", "the second transfer finds the connection of the first"


@pytest.mark.parametrize("data, status", [
    (f"GET {STATE} HTTP/1.1\r\n\r\n", 400),
    (f"GET {STATE} HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    (f"GET {STATE} HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400),
    (f"GET {STATE} HTTP/1.1\nHost: a\n\n", 400),
    (f"POST {JOBS} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (f"GET {STATE} HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (f"GET {STATE}?{'x' * 20_000} HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (f"GET {STATE} HTTP/1.1\r\nHost: a\r\nX: {'x' * 40_000}\r\n\r\n", 431),
    (f"POST {JOBS} HTTP/1.1\r\nHost: a\r\nContent-Length: 10485761\r\n\r\n", 413),
    (f"POST {JOBS} HTTP/1.1\r\nHost: a\r\nExpect: nonsense\r\n\r\n", 417),
    (f"BREW {JOBS} HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100, 400),
])
def test_what_never_became_a_request(shared_alone, data, status):
    with shared_alone.wire() as wire:
        wire.send(data)
        answer = wire.final()
        envelope(answer, status, traced=False)
        assert answer.closes
        wire.expect_close()
    assert shared_alone.running() == []


def test_too_large_on_an_airweave_path_has_its_detail(shared_alone):
    with shared_alone.wire() as wire:
        wire.send(f"POST {RUN} HTTP/1.1\r\nHost: a\r\nX-Gateway-Organization: org_xyz789\r\nContent-Length: 10485761\r\n\r\n")
        envelope(wire.final(), 413, "PAYLOAD_TOO_LARGE", airweave=True, traced=False)
        wire.expect_close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(alone, number):
    service = alone()
    body = json.dumps(TRIGGER)
    with service.wire() as in_flight, service.wire() as idle:
        assert service.call("GET", STATE, wire=idle).status == 200
        in_flight.send(f"POST {JOBS} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n")
        assert in_flight.read().status == 100
        service.signal(number)
        idle.expect_close(20)
        wait_for(lambda: not accepts(service.port), "new connections are refused")
        in_flight.send(body)
        answer = in_flight.final()
        assert answer.status == 200 and answer.closes, "a request in flight finishes"
        in_flight.expect_close()
    assert service.process.wait(20) == 0
    again = alone(state=service.state)
    assert again.finished(answer.json["job_id"])["status"] == "succeeded", "the job goes on"


def accepts(port):
    try:
        Wire(port, tls=False).close()
    except OSError:
        return False
    return True


def test_a_second_signal_does_not_wait(alone):
    service = alone()
    with service.wire() as wire:
        wire.send(f"POST {JOBS} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n")
        assert wire.read().status == 100
        service.signal(signal.SIGTERM)
        wait_for(lambda: "stopping" in service.output, "the line that tells the stop")
        service.signal(signal.SIGTERM)
        assert service.process.wait(15) == 0


def test_sighup_is_no_end(alone):
    service = alone()
    service.signal(signal.SIGHUP)
    assert service.call("GET", STATE).status == 200 and service.stop() == 0


def test_kill_9_and_start_again(alone):
    service = alone(pace=LONG)
    wanted = {"state": {"users": {"cursor": "2020-01-01T00:00:00Z"}}, "state_type": "stream"}
    assert service.call("PATCH", STATE, wanted).status == 200
    job = service.trigger().json["job_id"]
    wait_for(lambda: service.job(job)["status"] == "running", "the job runs")
    service.kill()
    again = alone(state=service.state, pace=LONG)
    assert again.job(job)["status"] not in ENDED
    envelope(again.trigger(), 409, "CONNECTOR_JOB_ALREADY_RUNNING", traced=False)
    again.kill()
    last = alone(state=service.state)
    assert last.finished(job)["status"] == "succeeded"
    assert [one["job_id"] for one in last.jobs()["data"]] == [job]


def test_two_processes_on_one_state_folder(alone, tmp_path, policies):
    service = alone()
    assert "in use" in refused("--listen", "127.0.0.1:0", "--state", service.state)
    done = run("serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--state", service.state,
               "--policies", policies.folder)
    assert done.returncode == 1 and str(service.state) in done.stderr, done
    assert service.stop() == 0
    gateway = Gateway(service.state, policies.folder).start()
    try:
        assert "in use" in refused("--listen", "127.0.0.1:0", "--state", service.state)
    finally:
        gateway.kill()


def test_a_busy_address(alone, tmp_path):
    keeper, port = free_port()
    with keeper:
        line = refused("--listen", f"127.0.0.1:{port}", "--state", tmp_path / "refused")
        assert f"127.0.0.1:{port} is in use" in line and "--listen" in line
    service = alone(workers=3)
    line = refused("--listen", f"127.0.0.1:{service.port}", "--state", tmp_path / "refused")
    assert "is in use" in line, "the workers share their port with no other process"


@pytest.mark.parametrize("arguments, word", [
    (["--listen", "nonsense"], "--listen"), (["--listen", "127.0.0.1:99999"], "--listen"), (["--workers", "0"], "--workers"),
    (["--workers"], "--workers"), (["--policies", "policies"], "--policies"), (["nonsense"], "nonsense"),
    (["--listen", "127.0.0.1:0,127.0.0.1:0"], "--listen"), (["--listen", "192.0.2.1:0"], "192.0.2.1"),
])
def test_bad_arguments(tmp_path, arguments, word):
    assert word in refused("--state", tmp_path / "refused", *arguments)


@pytest.mark.parametrize("name", ["GATEWAY_CONNECTORS_ROWS_PER_SECOND", "GATEWAY_CONNECTORS_MINIMUM_MS"])
def test_the_pace_is_a_number(tmp_path, name):
    assert name in refused("--listen", "127.0.0.1:0", "--state", tmp_path / "refused", **{name: "fast"})


def test_variables_do_what_flags_do(tmp_path):
    service = Connectors(tmp_path / "by-variable")
    log = tmp_path / "log"
    with open(log, "wb") as output:
        # Settings for a gateway on the same machine must not reach this process.
        process = subprocess.Popen(
            [binary(), "connectors"], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=tmp_path,
            env=environment(GATEWAY_CONNECTORS_LISTEN="127.0.0.1:0", GATEWAY_CONNECTORS_STATE=str(service.state),
                            GATEWAY_CONNECTORS_WORKERS="1", GATEWAY_LISTEN="nonsense", GATEWAY_STATE="nonsense"))
    try:
        line = wait_for(lambda: re.search(r"listening on http://127\.0\.0\.1:(\d+)\n", log.read_text()), "the port")
        service.port = int(line.group(1))
        assert service.call("GET", "/healthz").json == {"status": "ok"}
        assert (service.state / "connectors.json5").exists() and not (tmp_path / "nonsense").exists()
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_an_open_address_is_warned_of(alone):
    assert "warning" not in alone().output
    assert "checks no token, so any client can act for any organization" in alone(listen="0.0.0.0:0").output
