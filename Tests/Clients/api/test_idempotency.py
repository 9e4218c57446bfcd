"""One Idempotency-Key is one job, as `requests` and raw bytes see it, also when the gateway is killed."""

import threading
import uuid

import pytest
import requests

from gateway import CONNECTION, JOBS, STATE
from wire import envelope

pytestmark = pytest.mark.jobs

SLOW = (100_000, 600_000)


def session(gateway, key=None):
    client = requests.Session()
    # Otherwise a variable that names other authorities wins.
    client.trust_env = False
    client.verify = str(gateway.ca)
    client.headers["Authorization"] = f"Bearer {gateway.token}"
    if key:
        client.headers["Idempotency-Key"] = key
    return client


def trigger(client, gateway, **more):
    return client.post(f"https://localhost:{gateway.port}{JOBS}", json={"connection_id": CONNECTION, "job_type": "sync"},
                       timeout=30, **more)


def check_replay(answer, first):
    assert answer.status_code == first.status_code and answer.content == first.content, answer.text
    assert answer.headers["Idempotent-Replayed"] == "true"


def test_a_key_survives_kill_and_is_one_job(start, policies):
    gateway = start(policies, pace=SLOW)
    key = str(uuid.uuid4())
    with session(gateway, key) as client:
        first = trigger(client, gateway)
        assert first.status_code == 200 and "Idempotent-Replayed" not in first.headers, first.text
        check_replay(trigger(client, gateway), first)
    for _ in range(3):
        gateway.kill()
        gateway.start()
        with session(gateway, f'"{key}"') as client:
            check_replay(trigger(client, gateway), first)
    assert gateway.jobs()["total"] == 1
    assert gateway.trigger(headers={"Idempotency-Key": "another"}).status == 409


def test_many_clients_with_one_key_get_one_job(start, policies):
    gateway = start(policies, pace=SLOW, workers=2)
    gate, answers, waited = threading.Barrier(16), [], []

    def one(headers):
        with session(gateway, "k") as client:
            client.get(f"https://localhost:{gateway.port}/", timeout=30)
            gate.wait(30)
            answer = trigger(client, gateway, headers=headers)
            (waited if headers else answers).append(answer)

    threads = [threading.Thread(target=one, args=({"Prefer": "wait=20"} if index % 2 else {},)) for index in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(waited) == 8
    assert all(answer.status_code == 200 for answer in waited), [answer.text for answer in waited]
    done = waited + [answer for answer in answers if answer.status_code == 200]
    assert len({answer.content for answer in done}) == 1, [answer.text for answer in done]
    assert sum("Idempotent-Replayed" not in answer.headers for answer in done) == 1
    for answer in answers:
        if answer.status_code != 200:
            assert answer.json()["error"]["code"] == "IDEMPOTENCY_IN_PROGRESS" and answer.headers["Retry-After"] == "1"
    assert gateway.jobs()["total"] == 1


@pytest.mark.parametrize("key", ["", '"', '"a', "a b", "a,b", '"a";p=1', '"a\\b"', "k" * 256, "caf\u00e9", "a\tb"])
def test_a_malformed_key_is_told_its_rule(shared, key):
    answer = shared.call("POST", JOBS, {"connection_id": CONNECTION, "job_type": "sync"}, headers={"Idempotency-Key": key})
    error = envelope(answer, 400, "IDEMPOTENCY_KEY_INVALID")
    assert error["details"]["field"] == "Idempotency-Key" and error["details"]["reason"] in error["message"]


def test_two_keys_are_malformed(shared):
    with shared.wire() as wire:
        body = b'{"connection_id":"conn_abc123","job_type":"sync"}'
        wire.send((f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {shared.token}\r\n"
                   f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                   "Idempotency-Key: a\r\nIdempotency-Key: a\r\n\r\n").encode() + body)
        envelope(wire.final(), 400, "IDEMPOTENCY_KEY_INVALID")


def test_a_key_belongs_to_one_request(start, policies):
    gateway = start(policies.generous())
    state = gateway.call("GET", STATE).json
    version = {"state": state.get("state", {})}
    assert gateway.trigger(headers={"Idempotency-Key": "k"}).status == 200
    reused = gateway.trigger("reset", headers={"Idempotency-Key": "k"})
    envelope(reused, 422, "IDEMPOTENCY_KEY_REUSED")
    gateway.idle()
    # Another route has keys of its own.
    first = gateway.call("PATCH", STATE, version, headers={"Idempotency-Key": "k"})
    again = gateway.call("PATCH", STATE, version, headers={"Idempotency-Key": "k"})
    assert (first.status, first.body) == (again.status, again.body), (first, again)
    status, metrics = gateway.admin("/metrics")
    assert status == 200
    assert 'gateway_idempotency_requests_total{result="reused"} 1' in metrics
    assert 'gateway_idempotency_records{state="started"} 0' in metrics


def test_a_route_may_require_a_key(start, policies):
    text = policies.read("routes.json5")
    policies.write("routes.json5", text.replace('lease: "sync",', 'lease: "sync", idempotency: "required",'))
    gateway = start(policies)
    envelope(gateway.trigger(), 400, "IDEMPOTENCY_KEY_REQUIRED")
    assert gateway.trigger(headers={"Idempotency-Key": "k"}).status == 200
