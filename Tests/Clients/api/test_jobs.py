"""One running job per connection, held as long as the job runs; and the contents of the job lists."""

import json
import re
import threading

import pytest

from gateway import CLEAR, CONNECTION, ENDED, JOBS, ORGANIZATION, REFRESH, RUN, SOURCE_CONNECTION, STATE, wait_for
from wire import envelope

pytestmark = pytest.mark.jobs


def check_conflict(answer, job_id, *, airweave=False):
    error = envelope(answer, 409, "CONNECTOR_JOB_ALREADY_RUNNING", airweave=airweave)
    active = error["details"]["active_job"]
    assert active["id"] == job_id and active["type"] and active["status"] in ("pending", "running"), active
    # Airweave's API has no path for a single job; its jobs have a path in the other API.
    assert "started_at" in active and answer["location"] == f"{JOBS}/{job_id}", answer.raw_head
    assert re.fullmatch(r"[1-9][0-9]*", answer["retry-after"]), answer.raw_head


def together(count, call):
    """Makes `count` calls at the same moment, each on a connection opened before."""
    gate, answers = threading.Barrier(count), [None] * count

    def one(index):
        with call.gateway.wire() as wire:
            gate.wait(30)
            answers[index] = call(wire)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in answers
    return answers


def test_a_second_trigger_is_refused_until_the_job_has_ended(roomy):
    first = roomy.trigger()
    assert first.status == 200, first
    job_id = first.json["job_id"]
    while True:
        answer = roomy.trigger()
        if answer.status != 409:
            break
        check_conflict(answer, job_id)
        assert roomy.call("GET", answer["location"]).json["job_id"] == job_id, "Location leads to the active job"
    assert roomy.job(job_id)["status"] in ENDED, "the lease may end only with the job"
    assert answer.status == 200 and answer.json["job_id"] != job_id, answer


def test_a_409_tells_how_far_the_active_job_is(start, policies):
    fresh = start(policies.without_resends())
    job_id = fresh.trigger().json["job_id"]
    job = wait_for(lambda: (job := fresh.job(job_id))["status"] == "running" and job, "the job runs")
    details = envelope(fresh.trigger(), 409)["details"]
    active = details["active_job"]
    assert details["reason"] == "running"
    assert active.pop("generation") > 1_700_000_000_000 and active.pop("held_since") == details["held_since"]
    assert active == {"id": job_id, "type": "sync", "status": "running", "started_at": job["start_time"],
                      "token": f"{ORGANIZATION}/demo"}
    source_id = fresh.call("POST", RUN).json["id"]
    jobs = f"/v1/source-connections/{SOURCE_CONNECTION}/jobs"
    started = wait_for(lambda: (job := fresh.call("GET", jobs).json[0])["status"] == "RUNNING" and job, "the run runs")
    active = envelope(fresh.call("POST", RUN), 409, airweave=True)["details"]["active_job"]
    assert active["id"] == source_id and active["started_at"] == started["started_at"], active


@pytest.mark.parametrize("first", ["sync", "reset", "refresh", "clear"])
@pytest.mark.parametrize("second", ["sync", "reset", "refresh", "clear", "state"])
def test_the_conflict_matrix(roomy, first, second):
    def send(kind):
        if kind == "refresh":
            return roomy.call("POST", REFRESH, {"streams": []})
        if kind == "clear":
            return roomy.call("POST", CLEAR, {"streams": ["users"]})
        if kind == "state":
            return roomy.call("PATCH", STATE, {"state": {}, "state_type": "stream"})
        return roomy.trigger(kind)

    # A clear may end at once if there is nothing to erase: give it rows.
    if first in ("clear", "reset"):
        roomy.finished(roomy.trigger().json["job_id"])
    answer = send(first)
    assert answer.status == 200, answer
    running = roomy.running()
    answer = send(second)
    if not running and answer.status == 200:
        pytest.skip(f"the {first} had ended before the {second} was sent")
    if second == "state":
        envelope(answer, 409, "CONNECTOR_STATE_LOCKED")
    else:
        check_conflict(answer, running[0]["job_id"])


def test_other_connections_are_not_held(roomy):
    assert roomy.trigger().status == 200
    assert roomy.call("POST", RUN).status == 200
    assert roomy.trigger().status == 409


def test_run_is_held_like_a_trigger(roomy):
    job = roomy.call("POST", RUN).json
    for path in (RUN, RUN + "/", RUN.removeprefix("/v1"), RUN + "?force_full_sync=true"):
        check_conflict(roomy.call("POST", path), job["id"], airweave=True)
    # The same connection with its id in the body is the same lease.
    check_conflict(roomy.trigger(connection=SOURCE_CONNECTION), job["id"])
    # A UUID in capitals is the same connection.
    check_conflict(roomy.trigger(connection=SOURCE_CONNECTION.upper()), job["id"])
    check_conflict(roomy.call("POST", RUN.replace("550e8400", "550E8400")), job["id"], airweave=True)


@pytest.mark.parametrize("count", [50])
@pytest.mark.parametrize("mixed", [False, True])
def test_of_parallel_triggers_exactly_one_wins(roomy, count, mixed):
    kinds = ["POST " + JOBS, "POST " + REFRESH, "POST " + CLEAR] if mixed else ["POST " + JOBS]
    bodies = {JOBS: {"connection_id": CONNECTION, "job_type": "sync"}, REFRESH: {"streams": []}, CLEAR: {"streams": []}}
    turn = iter(range(1000))
    lock = threading.Lock()

    def call(wire):
        with lock:
            kind = kinds[next(turn) % len(kinds)]
        method, path = kind.split()
        return roomy.call(method, path, bodies[path], wire=wire)

    call.gateway = roomy
    for _ in range(3):
        before = roomy.jobs()["total"]
        answers = together(count, call)
        assert sorted(answer.status for answer in answers) == [200] + [409] * (count - 1)
        for answer in answers:
            if answer.status == 409:
                envelope(answer, 409, "CONNECTOR_JOB_ALREADY_RUNNING")
        assert roomy.jobs()["total"] == before + 1
        for job in roomy.running():
            roomy.call("DELETE", f"{JOBS}/{job['job_id']}")
        roomy.idle()


def test_cancel(roomy):
    job_id = roomy.trigger().json["job_id"]
    with roomy.wire() as wire:
        answer = roomy.call("DELETE", f"{JOBS}/{job_id}", wire=wire)
        assert answer.status == 204 and answer.body == b""
        # A 204 with body bytes would break the next response on this connection.
        assert roomy.call("GET", f"{JOBS}/{job_id}", wire=wire).status == 200
    assert roomy.finished(job_id)["status"] == "cancelled"
    answer = roomy.call("DELETE", f"{JOBS}/{job_id}")
    envelope(answer, (404, 409))
    assert roomy.trigger().status == 200, "the lease is free again"


def test_both_spellings_of_the_body(roomy):
    for body in ({"connection_id": CONNECTION, "job_type": "sync"}, {"connectionId": CONNECTION, "jobType": "sync"},
                 {"connection_id": CONNECTION, "connectionId": CONNECTION, "job_type": "sync", "jobType": "sync"},
                 {"connectionId": CONNECTION, "job_type": "sync"}):
        answer = roomy.call("POST", JOBS, body)
        assert answer.status == 200, (body, answer)
        assert answer.json["connection_id"] == CONNECTION
        check_conflict(roomy.call("POST", JOBS, body), answer.json["job_id"])
        assert roomy.call("DELETE", f"{JOBS}/{answer.json['job_id']}").status == 204
        roomy.finished(answer.json["job_id"])


@pytest.mark.parametrize("body", [
    '{"connection_id":"conn_abc123","connectionId":"conn_other","job_type":"sync"}',
    '{"connection_id":"conn_abc123","connection_id":"conn_abc123","job_type":"sync"}',
    '{"connection_id":"conn_abc123","job_type":"sync","job_type":"reset"}',
    r'{"connection_id":"conn_abc123","\u0063onnection_id":"conn_other","job_type":"sync"}',
    '{"connection_id":"conn_abc123","job_type":"sync","x":{"y":1,"y":2}}',
    '{"connection_id":"conn_abc123","job_type":"sync"',
    '{"connection_id":"conn_abc123","job_type":"sync"} x',
    "{'connection_id':'conn_abc123'}",
    '\ufeff{"connection_id":"conn_abc123","job_type":"sync"}',
    '{"connection_id":"conn_abc123","job_type":"sync","x":"\ud800"}'.encode("utf-8", "surrogatepass"),
    '{"connection_id":"conn_abc123","job_type":"sync","x":"' + "\\ud800" + '"}',
    '{"connection_id":"conn_abc123","job_type":"sync","x":01}',
    '{"connection_id":"conn_abc123","job_type":"sync","x":' + "[" * 1000 + "]" * 1000 + "}",
    b'{"connection_id":"conn_abc123","job_type":"sync","x":"\xff"}',
    "not json",
])
def test_a_doubtful_body_is_400(shared, body):
    raw = body if isinstance(body, bytes) else body.encode()
    envelope(shared.call("POST", JOBS, raw), 400)
    assert shared.running() == []


@pytest.mark.parametrize("body", [
    "[]", '"conn_abc123"', "null", "{}", '{"job_type":"sync"}', '{"connection_id":"conn_abc123"}',
    '{"connection_id":7,"job_type":"sync"}', '{"connection_id":null,"job_type":"sync"}',
    '{"connection_id":"conn_abc123","job_type":"nonsense"}', '{"connection_id":"conn_abc123","job_type":7}',
    '{"connection_id":"conn_abc123","job_type":"sync","unknown":1}',
])
def test_a_wrong_field_is_422(shared, body):
    error = envelope(shared.call("POST", JOBS, body.encode()), (400, 422) if body[0] != "{" else 422)
    if body[0] == "{":
        assert error["code"] == "VALIDATION_ERROR" and error["details"], error
    assert shared.running() == []


def test_an_empty_body_is_refused(shared):
    envelope(shared.call("POST", JOBS), (400, 422))
    envelope(shared.call("POST", JOBS, b""), (400, 422))


@pytest.mark.parametrize("path, body, field", [
    (REFRESH, {"streams": ["nothing"]}, "streams"),
    (REFRESH, {"streams": "users"}, "streams"),
    (REFRESH, {}, "streams"),
    (REFRESH, {"streams": ["users"], "remove_records": "yes"}, "remove_records"),
    (CLEAR, {"streams": [7]}, "streams"),
    (CLEAR, {}, "streams"),
])
def test_refresh_and_clear_name_the_wrong_field(shared, path, body, field):
    error = envelope(shared.call("POST", path, body), 422, "VALIDATION_ERROR")
    assert field in json.dumps(error["details"]), error


@pytest.mark.parametrize("body", [
    {}, {"state": []}, {"state": {}, "state_type": "nonsense"}, {"state_type": "stream"},
    {"state": {"nothing": {"cursor": "x"}}, "state_type": "stream"},
    {"state": {"users": {"cursor": ["x"]}}, "state_type": "stream"}])
def test_state_update_names_the_wrong_field(shared, body):
    error = envelope(shared.call("PATCH", STATE, body), 422, "VALIDATION_ERROR")
    assert "state" in json.dumps(error["details"])


def test_state_is_replaced_whole_and_kept_byte_for_byte_in_meaning(roomy):
    for kind in ("global", "stream", "legacy"):
        wanted = {"state": {"users": {"cursor": "2024-06-15T10:30:00Z", "big": 12345678901234567890123,
                                      "odd": [None, True, 1e-7, "\u00e9\U0001f600\u2028"]}}, "state_type": kind}
        answer = roomy.call("PATCH", STATE, wanted)
        assert answer.status == 200, answer
        assert answer.json == wanted and roomy.call("GET", STATE).json == wanted
    assert roomy.call("PATCH", STATE, {"state": {}}).json == {"state": {}, "state_type": "not_set"}
    answer = roomy.call("PATCH", STATE, {"state": {"orders": {"cursor": "2024-01-01T00:00:00Z"}}, "state_type": "stream"})
    assert answer.json["state"] == {"orders": {"cursor": "2024-01-01T00:00:00Z"}}


def test_job_lists(roomy):
    made = []
    for index, kind in enumerate(["sync", "reset", "sync"]):
        job_id = roomy.trigger(kind).json["job_id"]
        if index < 2:
            roomy.call("DELETE", f"{JOBS}/{job_id}")
        assert roomy.finished(job_id)["job_type"] == kind
        made.append(job_id)
    run = roomy.call("POST", RUN).json["id"]
    wait_for(lambda: not roomy.running(), "the run ended", 60)

    def ids(query):
        answer = roomy.jobs(query)
        return [job["job_id"] for job in answer["data"]], answer["total"]

    mine = f"connection_id={CONNECTION}"
    assert ids(f"?{mine}&order_by=createdAt%7CASC") == (made, 3)
    assert ids(f"?{mine}&order_by=createdAt|DESC") == (made[::-1], 3)
    assert ids(f"?{mine}&order_by=createdAt%7CASC&limit=1&offset=1") == ([made[1]], 3)
    assert ids(f"?{mine}&limit=1&offset=9") == ([], 3)
    assert ids(f"?{mine}&job_type=reset") == ([made[1]], 1)
    assert ids(f"?{mine}&status=succeeded") == ([made[2]], 1)
    assert set(ids(f"?{mine}&status=cancelled")[0]) <= set(made[:2])
    assert ids("?connection_id=conn_absent") == ([], 0)
    assert ids("?created_at_start=2024-01-01T00%3A00%3A00%2B02%3A00")[1] >= 3
    assert ids("?created_at_end=2024-01-01T00%3A00%3A00Z") == ([], 0)
    assert ids("?limit=100&unknown=1")[1] >= 3
    assert run
    for query in ("?limit=101", "?limit=0", "?limit=x", "?offset=-1", "?order_by=nonsense", "?created_at_start=nonsense"):
        envelope(roomy.call("GET", JOBS + query), (400, 422))


def test_refresh_without_and_with_remove_records(roomy):
    rows = roomy.finished(roomy.trigger().json["job_id"])["rows_synced"]
    assert rows >= 1000
    assert roomy.finished(roomy.trigger().json["job_id"])["rows_synced"] == 0, "an incremental sync finds nothing new"
    for remove in (False, True):
        assert roomy.call("POST", REFRESH, {"streams": [], "remove_records": remove}).json == {"status": "refreshing"}
        job = wait_for(lambda: roomy.jobs("?job_type=refresh&order_by=createdAt%7CDESC")["data"], "a refresh job")[0]
        done = roomy.finished(job["job_id"])
        assert done["status"] == "succeeded" and done["rows_synced"] == rows
    assert roomy.call("POST", CLEAR, {"streams": ["users", "orders"]}).status == 200
    roomy.idle()
    assert roomy.finished(roomy.trigger().json["job_id"])["rows_synced"] == rows, "after a clear everything is new"


def test_reset_then_sync_brings_every_row_again(roomy):
    rows = roomy.finished(roomy.trigger().json["job_id"])["rows_synced"]
    assert roomy.finished(roomy.trigger("reset").json["job_id"])["status"] == "succeeded"
    assert roomy.finished(roomy.trigger().json["job_id"])["rows_synced"] == rows


def test_absent_things_are_404(shared):
    absent = f"/v1/organizations/{ORGANIZATION}/knowledge/connectors/connections/conn_absent"
    envelope(shared.call("GET", f"{absent}/state"), 404, "CONNECTOR_CONNECTION_NOT_FOUND")
    envelope(shared.call("PATCH", f"{absent}/state", {"state": {}}), 404, "CONNECTOR_CONNECTION_NOT_FOUND")
    envelope(shared.call("POST", f"{absent}/refresh", {"streams": []}), 404, "CONNECTOR_CONNECTION_NOT_FOUND")
    envelope(shared.call("POST", f"{absent}/clear", {"streams": []}), 404, "CONNECTOR_CONNECTION_NOT_FOUND")
    envelope(shared.trigger(connection="conn_absent"), 404, "CONNECTOR_CONNECTION_NOT_FOUND")
    envelope(shared.call("GET", f"{JOBS}/job_absent"), 404, "CONNECTOR_JOB_NOT_FOUND")
    envelope(shared.call("DELETE", f"{JOBS}/job_absent"), 404, "CONNECTOR_JOB_NOT_FOUND")
    envelope(shared.call("POST", RUN.replace("550e", "660e")), 404, "CONNECTOR_CONNECTION_NOT_FOUND", airweave=True)
