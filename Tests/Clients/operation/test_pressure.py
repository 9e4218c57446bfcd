"""Under pressure: reloads under load, clients that do not read, too few descriptors, large bodies. No loss, no growth."""

import os
import resource
import signal
import threading
import time

import pytest

from gateway import CONNECTION, JOBS, STATE, wait_for
from metrics import metrics, processor_seconds, resident, total
from raw import head
from wire import envelope

pytestmark = [pytest.mark.lifecycle, pytest.mark.alone]


class Callers:
    """Clients that read the state in a loop, each on one connection, and record failures."""

    def __init__(self, gateway, count=4):
        self.gateway, self.failures, self.answers, self.versions = gateway, [], 0, set()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.call) for _ in range(count)]

    def call(self):
        try:
            with self.gateway.wire() as wire:
                while not self.over.is_set():
                    answer = self.gateway.call("GET", STATE, wire=wire)
                    assert answer.status == 200 and not answer.closes, answer
                    self.answers += 1
                    self.versions.add(answer["x-policy-version"])
        except Exception as error:  # the test reports it
            self.failures.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def test_reloads_under_load_drop_nothing(start, policies):
    gateway = start(policies.generous())
    with Callers(gateway) as callers:
        for index in range(10):
            policies.token(f"token{index}")
            gateway.signal(signal.SIGHUP)
            wait_for(lambda: len(callers.versions) > index + 1, f"version {index + 2} under load", 15)
    assert callers.failures == [] and callers.answers > 100


def test_certificates_replaced_under_load_drop_nothing(start, policies, certificates):
    gateway = start(policies.generous().certificates(certificates, "localhost"), ca=certificates / "ca.pem")
    with Callers(gateway) as callers:
        (certificates / "renewed.key").rename(certificates / "localhost.key")
        (certificates / "renewed.pem").rename(certificates / "localhost.pem")
        wait_for(lambda: "certificates reloaded" in gateway.output, "the new certificate", 15)
        before = callers.answers
        wait_for(lambda: callers.answers > before + 50, "answers after it", 15)
    assert callers.failures == []


def test_a_client_that_does_not_read_costs_little_and_is_cut(start, policies):
    policies.generous().settings(timeouts={"write": "2s"})
    gateway = start(policies)
    gateway.call("PATCH", STATE, {"state": {"users": {"cursor": "x" * 50_000}}, "state_type": "stream"})
    before = resident(gateway)
    deaf = [gateway.wire() for _ in range(8)]
    try:
        for wire in deaf:
            wire.socket.settimeout(0.5)
            try:
                for _ in range(40):
                    wire.send(head(gateway) * 50)
            except OSError:
                pass  # its window is full, as intended
        # 8 clients asked for 8 * 40 * 50 * 50 kB = 800 MB.
        assert resident(gateway) - before < 100
        assert gateway.call("GET", STATE).status == 200, "others are served meanwhile"
        wait_for(lambda: total(metrics(gateway), "gateway_connections{") == 0, "the end of those that do not read", 15)
    finally:
        for wire in deaf:
            wire.close()


def test_too_few_descriptors(start, policies):
    """Without free descriptors the gateway serves the connected clients, and neither spins nor ends."""
    gateway = start(policies.generous())
    with gateway.wire() as there:
        assert gateway.call("GET", STATE, wire=there).status == 200
        used = len(os.listdir(f"/proc/{gateway.process.pid}/fd"))
        soft, hard = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (used + 5, hard))
        crowd = []
        try:
            for _ in range(40):
                try:
                    crowd.append(gateway.wire(deadline=0.3))
                except OSError:
                    pass
            assert len(crowd) < 40
            begun, spent = time.monotonic(), processor_seconds(gateway)
            for _ in range(20):
                assert gateway.call("GET", STATE, wire=there).status == 200
                time.sleep(0.05)
            share = (processor_seconds(gateway) - spent) / (time.monotonic() - begun)
            assert share < 0.5, f"it spins: {share:.0%} of a processor"
        finally:
            for wire in crowd:
                wire.close()
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
        wait_for(lambda: gateway.call("GET", STATE).status == 200, "new connections once there is room", 15)


def test_large_states(roomy):
    """Up to the 10 MiB of a body; the connector service keeps every value."""
    for size in (100_000, 2_000_000, 9_000_000):
        wanted = {"state": {"users": {"cursor": "2024", "blob": "x" * size}}, "state_type": "stream"}
        assert roomy.call("PATCH", STATE, wanted).json == wanted
        assert roomy.call("GET", STATE).json == wanted
    envelope(roomy.call("PATCH", STATE, {"state": {"users": {"cursor": "x" * 11_000_000}}}), 413)
    assert roomy.call("PATCH", STATE, {"state": {}}).status == 200


def test_an_inspected_body_has_a_smaller_limit(roomy):
    body = {"connection_id": CONNECTION, "job_type": "sync", "x": "y" * 1_500_000}
    envelope(roomy.call("POST", JOBS, body), 413, "PAYLOAD_TOO_LARGE")


def test_memory_does_not_grow_with_requests(start, policies):
    gateway = start(policies.generous())
    data = head(gateway) * 100

    def thousands(count):
        with gateway.wire() as wire:
            for _ in range(count):
                wire.send(data)
                for _ in range(100):
                    assert wire.final().status == 200

    thousands(20)
    before = resident(gateway)
    thousands(100)
    for _ in range(300):
        gateway.call("GET", "/nowhere", token=None)
    assert resident(gateway) - before < 8, f"{resident(gateway) - before:.1f} MiB more after 10,000 requests"


def test_connections_that_come_and_go_leave_nothing(start, policies):
    gateway = start(policies.generous())

    def hundreds():
        for _ in range(150):
            wire = gateway.wire()
            wire.send(head(gateway)[:50])
            wire.close()
            gateway.call("GET", STATE)

    hundreds()
    before = resident(gateway)
    hundreds()
    hundreds()
    assert resident(gateway) - before < 8
    wait_for(lambda: total(metrics(gateway), "gateway_connections{") == 0, "all connections ended", 10)


def test_triggers_and_ends_race_without_a_stuck_lease(start, policies):
    """Jobs of a few milliseconds, triggered by many clients: in the end the connection is free."""
    gateway = start(policies.generous(), pace=(10_000_000, 1))
    accepted, failures, until = [], [], time.monotonic() + 120

    def trigger():
        try:
            with gateway.wire() as wire:
                while len(accepted) < 20 and time.monotonic() < until:
                    answer = gateway.trigger(wire=wire)
                    assert answer.status in (200, 409), answer
                    if answer.status == 200:
                        accepted.append(answer.json["job_id"])
        except Exception as error:  # the test reports it
            failures.append(error)

    threads = [threading.Thread(target=trigger) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(set(accepted)) == len(accepted) >= 20
    gateway.idle()
    assert {job["job_id"] for job in gateway.jobs("?limit=100")["data"]} == set(accepted)
    assert gateway.trigger().status == 200
