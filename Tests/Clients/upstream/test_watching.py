"""Leases and the jobs of a remote upstream: the gateway's polls, their frequency and credential, and their effects."""

import pytest

from gateway import JOBS, ORGANIZATION, SOURCE_CONNECTION, wait_for
from jobs_upstream import AirweaveCaller, Caller, JobUpstream, run_id
from outcome import new_id, request
from wire import envelope

pytestmark = pytest.mark.upstream
SECRET = "Bearer the-gateways-own"
OWN = {"header": "Authorization", "secretFile": "own"}
AIRWEAVE_JOBS = f"/v1/source-connections/{SOURCE_CONNECTION}/jobs"


@pytest.fixture
def upstream():
    with JobUpstream() as upstream:
        yield upstream


@pytest.fixture
def front(front):
    """The policies, with a file for the gateway's own secret."""
    def with_secret(upstream, **settings):
        return front(upstream, prepare=lambda gateway: gateway.written.write("own", SECRET + "\n"), **settings)

    return with_secret


@pytest.fixture
def gateway(front, upstream):
    return front(upstream, ownCredential=OWN)


@pytest.fixture
def caller(gateway):
    return Caller(gateway)


def active(caller):
    """The job that a 409 to a trigger names; None while the gateway does not know it."""
    error = envelope(caller.trigger(), 409, "CONNECTOR_JOB_ALREADY_RUNNING", airweave=caller.airweave)
    return error["details"].get("active_job", {}).get("id")


def free(caller, job):
    """Waits until a trigger succeeds, which starts that job."""
    wait_for(lambda: caller.trigger(job).status == 200, "the end of the lease")
    assert active(caller) == job


def check_questions(upstream, credential=SECRET):
    """Checks that all polls were the gateway's own, for the organization, and never with the client's credential."""
    assert upstream.polls()
    for asked in upstream.polls():
        assert asked.method == "GET" and asked.all("authorization") == ([credential] if credential else []), asked.raw_head
        assert asked["x-api-key"] is None and b"cgw_" not in asked.raw_head
        assert asked.all("x-gateway-organization") == [ORGANIZATION]


def test_the_watcher_asks_with_growing_pauses_until_the_job_has_ended(caller, upstream):
    assert caller.call("GET", f"{JOBS}/job_1").status == 404 and upstream.polls() == [], "without a lease it asks nothing"
    assert caller.trigger("job_1").status == 200
    polls = wait_for(lambda: len(polls := upstream.polls(f"{JOBS}/job_1")) >= 4 and polls, "four questions", 40)
    gaps = [later.at - earlier.at for earlier, later in zip(polls, polls[1:])]
    # After 1 s, then half as long again each time, plus or minus a tenth; the reconciler runs once a second.
    assert gaps[0] < 2.6 and gaps[2] > max(gaps[0] + 0.4, 1.9), gaps
    upstream.ends("job_1", "cancelling")
    assert caller.call("DELETE", f"{JOBS}/job_1").status == 204
    wait_for(lambda: len(upstream.polls()) > len(polls), "a question at once, as a cancelled job ends soon", 2.5)
    assert active(caller) == "job_1"
    upstream.ends("job_1", "failed")
    assert caller.call("GET", f"{JOBS}/job_1").status == 200
    asked = len(upstream.polls())
    assert caller.trigger("job_2").status == 200
    wait_for(lambda: len(upstream.polls(f"{JOBS}/job_2")) >= 3, "questions about the next job")
    assert len(upstream.polls()) == asked + len(upstream.polls(f"{JOBS}/job_2")), "nobody asks about a job that has ended"
    check_questions(upstream)


def test_whose_credential_the_questions_have(front):
    """Their own, or else that of forwarded requests; if the client's is forwarded, or none, the polls have none."""
    other = {"header": "x-upstream", "secretFile": "own"}
    cases = [({"credential": "pass", "ownCredential": OWN}, SECRET), ({"credential": OWN}, SECRET),
             ({"credential": other, "ownCredential": OWN}, SECRET), ({"credential": "pass"}, None), ({"credential": OWN, "ownCredential": "none"}, None),
             ({"credential": "strip"}, None)]
    pairs = []
    for settings, wanted in cases:
        upstream = JobUpstream(base="/base")
        assert Caller(front(upstream.url + "/base", **settings)).trigger("job_1").status == 200
        pairs.append((upstream, wanted))
    for upstream, wanted in pairs:
        with upstream:
            wait_for(upstream.polls, "a question")
            check_questions(upstream, wanted)
            assert all(one["x-upstream"] is None for one in upstream.polls()), "the credential of forwarded requests"
            assert {one.target for one in upstream.polls()} == {f"/base{JOBS}/job_1"}


def test_an_unknown_status_counts_as_running(caller, upstream):
    assert caller.trigger("job_1").status == 200
    upstream.ends("job_1", "hibernating")
    wait_for(lambda: len(upstream.polls()) >= 2, "two questions that were answered so")
    for status in ("hibernating", "", "successful", "done", "SUCCEEDED "):
        upstream.ends("job_1", status)
        assert caller.call("GET", f"{JOBS}/job_1").json["status"] == status
        assert active(caller) == "job_1"
    upstream.ends("job_1", "FAILED")
    assert caller.call("GET", f"{JOBS}/job_1").json["status"] == "FAILED"
    assert caller.trigger("job_2").status == 200


@pytest.mark.parametrize("path", ["/{}", "?limit=5"])
@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_a_job_that_passes_by_frees_its_connection_at_once(caller, upstream, path, status):
    """Before the reconciler's first poll."""
    for job in ("job_1", "job_2", "job_3", "job_4", "job_5"):
        free(caller, job)
        upstream.ends(job, status)
        assert caller.call("GET", JOBS + path.format(job)).status == 200
        answer = caller.trigger(f"{job}_next")
        # On a machine that stood still for a second the reconciler may have been faster.
        if not upstream.polls():
            assert answer.status == 200, answer
            return
        upstream.ends(f"{job}_next")
    raise AssertionError("the watcher always asked first")


def test_a_job_that_is_called_cancelled_may_go_on_for_a_while(caller, upstream):
    """Its connection settles: 409 says so, and how long; a job that is at work again is held again."""
    assert caller.trigger("job_1").status == 200
    upstream.ends("job_1", "cancelled")
    assert caller.call("GET", f"{JOBS}/job_1").status == 200
    answer = caller.trigger("job_2")
    details = envelope(answer, 409, "CONNECTOR_JOB_ALREADY_RUNNING")["details"]
    assert details["reason"] == "settling" and details["active_job"]["id"] == "job_1", details
    assert 10 <= int(answer["retry-after"]) <= 15
    upstream.ends("job_1", "running")
    assert caller.call("GET", f"{JOBS}/job_1").status == 200
    assert envelope(caller.trigger("job_2"), 409)["details"]["reason"] == "running"
    upstream.ends("job_1", "cancelled")
    wait_for(lambda: caller.trigger("job_2").status == 200, "the end of the settle time", 30)


def test_what_passes_by_elsewhere_frees_nothing(caller, upstream):
    """A job of that name on another connection is another job, for the reconciler as well."""
    assert caller.trigger("job_1").status == 200
    upstream.jobs["job_1"]["connection_id"] = "conn_other"
    upstream.ends("job_1")
    assert caller.call("GET", f"{JOBS}/job_1").json["status"] == "succeeded"
    assert caller.call("GET", JOBS).json["data"][0]["status"] == "succeeded"
    assert active(caller) == "job_1"
    wait_for(lambda: len(upstream.polls()) >= 2, "the watcher, which does not believe it either")
    assert active(caller) == "job_1"


LOST = ["reset-before-head", "close-mid-head", "hang-before-head", "garbage"]


def test_lost_answers(gateway, upstream):
    """While the result of a trigger is unknown its connection is blocked. Then the upstream shows the running job, or none."""
    running = {f"job_{fault}": Caller(gateway, f"conn_runs_{fault}") for fault in LOST}
    running[run_id(1)] = AirweaveCaller(gateway, SOURCE_CONNECTION)
    ended = {f"job_over_{fault}": Caller(gateway, f"conn_over_{fault}") for fault in LOST[:1]}
    absent = [Caller(gateway, f"conn_none_{fault}") for fault in LOST] + [AirweaveCaller(gateway, run_id(2))]
    upstream.mute = {one.connection for one in absent}
    for job, one in {**running, **ended}.items():
        assert one.trigger(job, job.removeprefix("job_") if job in running and not one.airweave else LOST[0]).status in (502, 504)
    for one, fault in zip(absent, [*LOST, LOST[0]]):
        assert one.trigger(fault=fault).status in (502, 504)
    for one in [*running.values(), *ended.values(), *absent]:
        assert active(one) is None, "nobody knows it yet"
    for job in ended:
        upstream.ends(job)
    for job, one in running.items():
        wait_for(lambda: active(one) == job, "the job that runs")
    lists = {one.path.replace("/run", "/jobs?limit=100") if one.airweave
             else f"{JOBS}?connection_id={one.connection}&order_by=createdAt%7CDESC&limit=100" for one in [*running.values(), *absent]}
    wait_for(lambda: lists <= {one.target for one in upstream.polls()}, "a question about each connection")
    wait_for(lambda: upstream.polls(f"{JOBS}/job_garbage"), "from now on it is asked for by name")
    for job, one in running.items():
        assert active(one) == job
        upstream.ends(job)
        assert one.call("GET", AIRWEAVE_JOBS if one.airweave else f"{JOBS}/{job}").status == 200
        free(one, run_id(3) if one.airweave else f"{job}_next")
    for job, one in ended.items():
        free(one, f"{job}_next")
    for one in absent:
        assert active(one) is None, "who does not know does not free"
    upstream.mute = set()
    for one in absent:
        free(one, run_id(4) if one.airweave else f"job_{one.connection}")
    triggers = [one for one in upstream.received() if one.method == "POST"]
    assert len(triggers) == 2 * len([*running, *ended, *absent]), "no trigger went upstream that conflicts, and none twice"
    check_questions(upstream)


def test_a_trigger_that_never_reached_the_upstream_holds_nothing(caller, upstream):
    upstream.stop()
    for _ in range(2):
        envelope(caller.trigger("job_1"), 502, "BAD_GATEWAY")


def test_a_client_that_left_while_its_trigger_was_answered(gateway, caller, upstream):
    """The gateway waits for the response to the request, and the lease is that of its job."""
    fields = ["X-Fault: wait", f"X-Id: {new_id()}", "X-Job: job_1"]
    with gateway.wire() as wire:
        wire.send(request(gateway, "POST", JOBS, fields, caller.body))
        wait_for(lambda: "job_1" in upstream.jobs, "the job")
    assert caller.call("GET", "/").status == 204, "the one worker has seen what came before this"
    upstream.told.set()
    wait_for(lambda: active(caller) == "job_1", "the job's name")
    assert upstream.polls(JOBS) == [], "it is the answer's, and no question's"


def test_airweave_asks_for_the_jobs_of_the_source_connection(gateway, upstream):
    caller = AirweaveCaller(gateway, SOURCE_CONNECTION)
    assert caller.trigger(run_id(1)).json["id"] == run_id(1)
    wait_for(upstream.polls, "a question")
    assert {one.target for one in upstream.polls()} == {f"{AIRWEAVE_JOBS}?limit=100"}
    assert active(caller) == run_id(1)
    upstream.ends(run_id(1), "completed")
    free(caller, run_id(2))
    check_questions(upstream)


def test_kill_9_while_a_lease_is_held(caller, gateway, upstream):
    """The next process with the same state folder keeps the lease, with or without the upstream, and polls itself."""
    def is_remembered(job):
        # The lease is on disk before its request is sent; the name of its job follows a moment after the response.
        wait_for(lambda: job.encode() in (gateway.state / "leases.journal").read_bytes(), "the job's name on the disk")

    assert caller.trigger("job_1").status == 200
    is_remembered("job_1")
    gateway.kill()
    upstream.stop()
    gateway.start()
    assert active(caller) == "job_1", "while nobody says how the job is, it runs"
    with JobUpstream(port=upstream.port) as again:
        again.jobs = upstream.jobs
        wait_for(lambda: len(again.polls(f"{JOBS}/job_1")) >= 2, "questions")
        assert active(caller) == "job_1"
        check_questions(again)
        again.ends("job_1")
        free(caller, "job_2")
        is_remembered("job_2")
        gateway.kill()
        gateway.start()
        assert active(caller) == "job_2", "and the next lease is the one that is remembered"


def test_kill_9_while_triggers_are_under_way(gateway, upstream):
    """Their responses never came, so the next process must find out: one has started its job, one has not."""
    began, lost = Caller(gateway), Caller(gateway, "conn_lost")
    with gateway.wire() as first, gateway.wire() as second:
        for wire, one, fields in ((first, began, ["X-Job: job_9"]), (second, lost, [])):
            identity = new_id()
            wire.send(request(gateway, "POST", JOBS, ["X-Fault: hang-before-head", f"X-Id: {identity}", *fields], one.body))
            wait_for(lambda: upstream.received(identity) and upstream.received(identity)[0].complete, "the trigger")
        gateway.kill()
    gateway.start()
    assert active(began) is None and active(lost) is None
    wait_for(lambda: active(began) == "job_9", "the job that runs")
    free(lost, "job_10")
    upstream.ends("job_9")
    free(began, "job_11")
    check_questions(upstream)
