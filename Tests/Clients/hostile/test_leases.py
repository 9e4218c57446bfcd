"""A lease ends only by proof: upstreams that lie, hide jobs or respond late or never, and callers that exploit it."""

import re
import threading
import time

import pytest

from gateway import CONNECTION, JOBS, SOURCE_CONNECTION, wait_for
from jobs_upstream import AirweaveCaller, Caller, JobUpstream, run_id, start_many
from metrics import metrics, total
from wire import envelope

pytestmark = pytest.mark.upstream
PAGE = (b"<html>no such page</html>", "404 Not Found")
BARE_JOBS = f"/source-connections/{SOURCE_CONNECTION}/jobs"


@pytest.fixture
def upstream():
    with JobUpstream() as upstream:
        yield upstream


def test_a_service_without_the_prefix_is_asked_without_it(front, upstream):
    """The run goes to a path without /v1: a poll under /v1 would get a 404 and free the lease of the running job."""
    upstream.lies = lambda request: PAGE if request.target.startswith("/v1/") else None
    caller = AirweaveCaller(front(upstream), SOURCE_CONNECTION)
    caller.path = f"/source-connections/{SOURCE_CONNECTION}/run"
    assert caller.trigger(run_id(1)).status == 200
    caller.stays_held(10, upstream)
    assert upstream.polls(BARE_JOBS) and all(one.target.startswith(BARE_JOBS) for one in upstream.polls())
    upstream.ends(run_id(1), "completed")
    caller.is_freed(run_id(2), 5)


def test_the_prefix_outlives_a_crash(front, upstream):
    """The process that took the lease is killed; the next one must poll the path that the request used."""
    gateway = front(upstream)
    caller = AirweaveCaller(gateway, SOURCE_CONNECTION)
    caller.path = f"/source-connections/{SOURCE_CONNECTION}/run"
    assert caller.trigger(run_id(1)).status == 200
    gateway.kill()
    asked = len(upstream.polls())
    gateway.start()
    wait_for(lambda: len(upstream.polls()) > asked, "a question")
    assert all(one.target.startswith(BARE_JOBS) for one in upstream.polls())


@pytest.mark.parametrize("lie", [PAGE, (b"[]", "401 Unauthorized"), (b"<html>", "200 OK"), (b"[]", "503 Service Unavailable")],
                         ids=["404", "401", "html", "503"])
def test_pages_of_something_before_the_service_free_nothing(front, upstream, lie):
    """For some seconds a deployment responds to every poll with a page, so that all polled leases seem to be over."""
    one, other = Caller(gateway := front(upstream)), AirweaveCaller(gateway, SOURCE_CONNECTION)
    assert one.trigger("job_1").status == 200 and other.trigger(run_id(1)).status == 200
    upstream.lies = lambda request: lie
    until = time.monotonic() + 9
    while time.monotonic() < until:
        assert one.trigger("job_2").status == 409 and other.trigger(run_id(2)).status == 409
        time.sleep(0.3)
    upstream.lies = lambda request: None
    upstream.ends("job_1")
    upstream.ends(run_id(1), "completed")
    wait_for(lambda: one.trigger("job_3").status == 200, "the end of the one", 8)
    wait_for(lambda: other.trigger(run_id(3)).status == 200, "the end of the other", 8)


def test_a_job_that_is_hidden_is_confirmed_by_the_list(front, upstream):
    """The path of the job is 404 for the gateway, while the list still shows the running job."""
    caller = Caller(front(upstream))
    assert caller.trigger("job_1").status == 200
    upstream.lies = lambda request: PAGE if request.target.startswith(f"{JOBS}/") else None
    caller.stays_held(9, upstream, "the list shows it")
    del upstream.jobs["job_1"]
    wait_for(lambda: caller.trigger("job_2").status == 200, "the end of a job that is in no list, and its settle time", 30)


@pytest.mark.parametrize("lie,status,code", [(PAGE, 404, "CONNECTOR_JOB_NOT_FOUND"), ((b"{}", "422 Unprocessable Content"), 404, "CONNECTOR_JOB_NOT_FOUND"),
                                             ((b"{}", "401 Unauthorized"), 502, "BAD_GATEWAY"), ((b"oops", "200 OK"), 502, "BAD_GATEWAY")],
                         ids=["404", "422", "401", "unreadable"])
def test_five_retries_at_once_of_a_job_that_the_upstream_hides(front, upstream, lie, status, code):
    """The poll for the job's connection is refused. Without a lease, five retries would start five jobs on one connection."""
    caller = Caller(front(upstream))
    upstream.begins("job_1", CONNECTION, status="failed")
    upstream.lies = lambda request: lie
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(caller.call("POST", f"{JOBS}/job_1/retry", b"{}"))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        envelope(answer, status, code)
    assert len(answers) == 5 and upstream.started() == [], "what cannot be placed under a lease is not sent"
    upstream.lies = lambda request: None
    statuses = sorted(caller.call("POST", f"{JOBS}/job_1/retry", b"{}").status for _ in range(5))
    assert statuses == [200, 409, 409, 409, 409]


def test_a_retry_of_no_job_in_process(roomy):
    """The same error as with a remote upstream."""
    envelope(roomy.call("POST", f"{JOBS}/job_none/retry", {}), 404, "CONNECTOR_JOB_NOT_FOUND")


def test_a_retry_is_limited_before_the_upstream_is_asked(front, upstream):
    """Many retries of a job that does not exist: each would be a poll of the upstream over a connection of its own."""
    def tight(gateway):
        text = gateway.written.read("limits.json5")
        text = re.sub(r'("write-calls-per-token": \{.*?)allow: "[^"]*",\s*burst: \d+', r'\1allow: "6/min", burst: 10', text, flags=re.S)
        gateway.written.write("limits.json5", text)

    caller = Caller(front(upstream, prepare=tight))
    statuses = [caller.call("POST", f"{JOBS}/job_none/retry").status for _ in range(40)]
    assert statuses.count(429) >= 28 and set(statuses) == {404, 429}
    assert len(upstream.polls()) <= 12, "a question costs what a call costs"


def test_questions_that_are_refused_are_told(front, upstream):
    """The service wants a credential that the gateway does not have: leases never end, and the operator must learn why."""
    gateway = front(upstream)
    caller = Caller(gateway)
    assert caller.trigger("job_1").status == 200
    upstream.lies = lambda request: (b"{}", "401 Unauthorized")
    wait_for(lambda: "status polls in a row for the jobs" in gateway.output, "a line", 10)
    line = next(line for line in gateway.output.splitlines() if "status polls in a row for the jobs" in line)
    assert "ownCredential" in line and "org_xyz789" in line
    metrics = gateway.admin("/metrics")[1]
    assert int(re.search(r'gateway_job_polls_total\{outcome="refused"\} (\d+)', metrics)[1]) >= 3
    upstream.lies = lambda request: None
    wait_for(lambda: caller.trigger("job_2").status == 409 and "have usable responses again" in gateway.output, "another line", 15)
    assert gateway.output.count("status polls in a row for the jobs") == 1, "once"


def test_finished_jobs_are_not_held_up_by_those_of_others(front, upstream):
    """The polls for one organization's jobs hang; the connection of another one's finished job must become free."""
    tokens = {}
    gateway = front(upstream, prepare=lambda one: tokens.update(
        {"other": one.written.token("many"), "quiet": one.written.token("quiet", organization="org_quiet")}))
    jobs = JOBS.replace("org_xyz789", "org_quiet")
    # Each poll for one of the other jobs hangs for its ten seconds, and there is no list of all of them.
    hang, hanging = threading.Event(), threading.Semaphore(0)

    def lies(request):
        if "/jobs?order_by" in request.target:
            return b"{}", "400 Bad Request"
        if "/jobs/busy_" in request.target:
            hanging.release()
            hang.wait(10)

    upstream.lies = lies
    start_many(gateway, 60, "busy", token=tokens["other"])
    assert all(hanging.acquire(timeout=10) for _ in range(20)), "questions hang"

    def shown(name):
        return total(metrics(gateway), f"gateway_job_polls_{name}", '"org_xyz789"')

    wait_for(lambda: shown("in_flight") >= 20 and shown("pending") > 0, "metrics tell whose questions hang", 10)

    def trigger(job):
        return gateway.call("POST", jobs, {"connection_id": "mine"}, token=tokens["quiet"],
                            headers={"X-Fault": "well", "X-Id": "t", "X-Job": job}).status

    # The job is in the other organization's paths, which this upstream does not distinguish.
    play = upstream.play
    upstream.play = lambda link, request: (setattr(request, "target", request.target.replace("org_quiet", "org_xyz789")), play(link, request))[1]
    assert trigger("quiet_1") == 200 and trigger("quiet_2") == 409
    wait_for(lambda: upstream.polls(f"{JOBS}/quiet_1"), "a question about the quiet one's job", 5)
    upstream.ends("quiet_1")
    ended = time.monotonic()
    wait_for(lambda: trigger("quiet_2") == 200, "the end of the lease", 15)
    took = time.monotonic() - ended
    hang.set()
    assert took < 5, took
