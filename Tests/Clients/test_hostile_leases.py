"""A lease ends by proof only: upstreams that lie, hide, answer late or not at all, and callers that make use of it."""

import json
import re
import threading
import time

import pytest

from gateway import CONNECTION, JOBS, SOURCE_CONNECTION, STATE, wait_for
from jobs_upstream import AirweaveCaller, Caller, JobUpstream
from proxied import QUICK
from wire import envelope

pytestmark = pytest.mark.upstream
PAGE = (b"<html>no such page</html>", "404 Not Found")
BARE_JOBS = f"/source-connections/{SOURCE_CONNECTION}/jobs"


@pytest.fixture
def upstream():
    with JobUpstream() as upstream:
        yield upstream


def run_id(number):
    return f"00000000-0000-4000-8000-{number:012}"


def started(upstream):
    return [one for one in upstream.received() if one.method == "POST"]


def stays_held(caller, seconds, upstream, what):
    """Triggers are refused all the time, and none gets to the upstream."""
    before, until = len(started(upstream)), time.monotonic() + seconds
    while time.monotonic() < until:
        assert caller.trigger(run_id(99) if caller.airweave else "job_99").status == 409, what
        time.sleep(0.2)
    assert len(started(upstream)) == before


def test_a_service_without_the_prefix_is_asked_without_it(front, upstream):
    """The run goes to a path without /v1, and a question under /v1 would be answered by a 404 that frees the running job's lease."""
    upstream.lies = lambda request: PAGE if request.target.startswith("/v1/") else None
    caller = AirweaveCaller(front(upstream), SOURCE_CONNECTION)
    caller.path = f"/source-connections/{SOURCE_CONNECTION}/run"
    assert caller.trigger(run_id(1)).status == 200
    stays_held(caller, 10, upstream, "the job runs")
    assert upstream.polls(BARE_JOBS) and all(one.target.startswith(BARE_JOBS) for one in upstream.polls())
    upstream.ends(run_id(1), "completed")
    wait_for(lambda: caller.trigger(run_id(2)).status == 200, "the end of the lease", 5)


def test_the_prefix_outlives_a_crash(front, upstream):
    """The process that took the lease is killed; the next one must ask where the request went."""
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
    """A deployment answers every question with a page for some seconds, so that all leases asked about seem to be over."""
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
    """The path of the job is 404 for the gateway while the list still shows that it runs."""
    caller = Caller(front(upstream))
    assert caller.trigger("job_1").status == 200
    upstream.lies = lambda request: PAGE if request.target.startswith(f"{JOBS}/") else None
    stays_held(caller, 9, upstream, "the list shows it")
    del upstream.jobs["job_1"]
    wait_for(lambda: caller.trigger("job_2").status == 200, "the end of a job that is in no list", 15)


@pytest.mark.parametrize("lie,status,code", [(PAGE, 404, "CONNECTOR_JOB_NOT_FOUND"), ((b"{}", "422 Unprocessable Content"), 404, "CONNECTOR_JOB_NOT_FOUND"),
                                             ((b"{}", "401 Unauthorized"), 502, "BAD_GATEWAY"), ((b"oops", "200 OK"), 502, "BAD_GATEWAY")],
                         ids=["404", "422", "401", "unreadable"])
def test_five_retries_at_once_of_a_job_that_the_upstream_hides(front, upstream, lie, status, code):
    """The question for the job's connection is refused, and the retries go out without any lease: five jobs on one connection."""
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
    assert len(answers) == 5 and started(upstream) == [], "what cannot be placed under a lease is not sent"
    upstream.lies = lambda request: None
    statuses = sorted(caller.call("POST", f"{JOBS}/job_1/retry", b"{}").status for _ in range(5))
    assert statuses == [200, 409, 409, 409, 409]


def test_a_retry_of_no_job_in_process(roomy):
    """The same words, whoever answers."""
    envelope(roomy.call("POST", f"{JOBS}/job_none/retry", {}), 404, "CONNECTOR_JOB_NOT_FOUND")


def test_a_retry_is_limited_before_the_upstream_is_asked(front, upstream):
    """A thousand retries of nothing, each of which is a question to the upstream, over a connection of its own."""
    def tight(gateway):
        text = gateway.written.read("limits.json5")
        text = re.sub(r'("write-calls-per-token": \{.*?)allow: "[^"]*",\s*burst: \d+', r'\1allow: "6/min", burst: 10', text, flags=re.S)
        gateway.written.write("limits.json5", text)

    caller = Caller(front(upstream, prepare=tight))
    statuses = [caller.call("POST", f"{JOBS}/job_none/retry").status for _ in range(40)]
    assert statuses.count(429) >= 28 and set(statuses) == {404, 429}
    assert len(upstream.polls()) <= 12, "a question costs what a call costs"


LOST = ["reset-before-head", "hang-before-head"]


@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_holds_for_as_long_as_it_might_have_taken(front, upstream, fault):
    """The connection is cut, and the job begins seconds after that: in the meantime a list says that nothing runs."""
    caller = Caller(front(upstream, timeouts={**QUICK, "answer": "6s"}))
    upstream.delay = 5
    assert caller.trigger("job_1", fault=fault).status in (502, 504)
    began = time.monotonic()
    while "job_1" not in upstream.jobs and time.monotonic() < began + 9:
        assert caller.trigger("job_2").status == 409, "the request may still be at work"
        time.sleep(0.2)
    stays_held(caller, 4, upstream, "the job runs")
    upstream.ends("job_1")
    upstream.delay = 0
    wait_for(lambda: caller.trigger("job_3").status == 200, "the end of the lease", 8)


def test_the_end_of_somebody_elses_job_does_not_free_a_lost_trigger(front, upstream):
    """A job runs that the gateway did not start. A trigger is lost, the list shows the other job, and that ends before the trigger's job begins."""
    caller = Caller(front(upstream, timeouts={**QUICK, "answer": "8s"}))
    upstream.begins("job_other", CONNECTION)
    time.sleep(1.1)  # The clock of the jobs, not a wait for anything: they begin in different seconds.
    upstream.delay = 7
    assert caller.trigger("job_1", fault="reset-before-head").status == 502
    wait_for(lambda: upstream.polls(f"{JOBS}/job_other"), "the other job is taken for it", 6)
    upstream.ends("job_other")
    until = time.monotonic() + 9
    while "job_1" not in upstream.jobs and time.monotonic() < until:
        assert caller.trigger("job_2").status == 409, "the request may still be at work"
        time.sleep(0.2)
    stays_held(caller, 3, upstream, "the job runs")
    upstream.ends("job_1")
    upstream.delay = 0
    wait_for(lambda: caller.trigger("job_3").status == 200, "the end of the lease", 8)


def test_a_lost_answer_without_a_job_ends_all_the_same(front, upstream):
    """Nothing began: once the request cannot be at work any more the connection is free."""
    caller = Caller(front(upstream, timeouts={**QUICK, "answer": "3s"}))
    began = time.monotonic()
    assert caller.trigger(fault="reset-before-head").status == 502
    wait_for(lambda: caller.trigger("job_2").status == 200, "the end of the lease", 12)
    assert time.monotonic() - began > 4.5


def test_a_crash_does_not_shorten_the_time_of_a_lost_answer(front, upstream):
    """The gateway is killed while the upstream works on the trigger, and the next one finds a list without the job."""
    gateway = front(upstream, timeouts={**QUICK, "answer": "6s"})
    caller = Caller(gateway)
    upstream.delay = 5
    threading.Thread(target=lambda: pytest.raises(Exception, caller.trigger, "job_1", "hang-before-head"), daemon=True).start()
    wait_for(lambda: started(upstream), "the trigger")
    gateway.kill()
    gateway.start()
    began = time.monotonic()
    while "job_1" not in upstream.jobs and time.monotonic() < began + 7:
        assert caller.trigger("job_2").status == 409
        time.sleep(0.2)
    stays_held(caller, 3, upstream, "the job runs")


@pytest.mark.parametrize("status", ["302 Found", "303 See Other", "408 Request Timeout", "499 Client Closed Request"])
def test_answers_that_say_nothing_of_the_work(front, upstream, status):
    """The job was started, and the answer is a redirection, or a proxy's word that it waited long enough."""
    caller = Caller(front(upstream))
    play = upstream.play
    upstream.play = lambda link, request: (
        say(upstream, link, request, status) if request.method == "POST" and request["x-fault"] == "moved" else play(link, request))
    assert caller.trigger("job_1", "moved").status < 500
    assert caller.trigger("job_2").status == 409, "the job may run"
    wait_for(lambda: caller.trigger("job_2").json["error"]["details"]["active_job"]["id"] == "job_1", "the job's name")
    upstream.ends("job_1")
    wait_for(lambda: caller.trigger("job_3").status == 200, "the end of the lease", 8)


def say(upstream, link, request, status):
    from faulty import answer
    upstream.begins(request["x-job"], CONNECTION)
    answer(link, request, b"{}", status, f"Location: {JOBS}/job_1")


def test_a_lost_state_update_keeps_its_lock(front, upstream):
    """A proxy before the service gave up on a state update that goes on: a sync would start beside it."""
    caller = Caller(front(upstream, timeouts={**QUICK, "answer": "2s"}))
    began = time.monotonic()
    assert caller.call("PATCH", STATE, b"{}", "X-Fault: hang-before-head").status == 504
    refused = envelope(caller.trigger("job_1"), 409)
    assert refused["details"]["connection_id"] == CONNECTION
    wait_for(lambda: caller.trigger("job_1").status == 200, "the end of the lock", 10)
    assert time.monotonic() - began > 3.5


def test_a_list_that_is_sorted_oldest_first_is_read_to_its_end(front, upstream):
    """A hundred and fifty old jobs are on the first pages, and the one that runs on the last."""
    upstream.page = 100
    for number in range(150):
        upstream.begins(run_id(1000 + number), SOURCE_CONNECTION, "airweave", "completed")
    caller = AirweaveCaller(front(upstream), SOURCE_CONNECTION)
    assert caller.trigger(run_id(1)).status == 200
    stays_held(caller, 10, upstream, "the job runs")
    upstream.ends(run_id(1), "completed")
    wait_for(lambda: caller.trigger(run_id(2)).status == 200, "the end of the lease", 5)


def test_questions_that_are_refused_are_told(front, upstream):
    """The service wants a credential that the gateway does not have: leases never end, and nobody would know why."""
    gateway = front(upstream)
    caller = Caller(gateway)
    assert caller.trigger("job_1").status == 200
    upstream.lies = lambda request: (b"{}", "401 Unauthorized")
    wait_for(lambda: "questions in a row about jobs" in gateway.output, "a line", 10)
    line = next(line for line in gateway.output.splitlines() if "questions in a row about jobs" in line)
    assert "ownCredential" in line and "org_xyz789" in line
    metrics = gateway.admin("/metrics")[1]
    assert int(re.search(r'gateway_job_questions_total\{outcome="refused"\} (\d+)', metrics)[1]) >= 3
    upstream.lies = lambda request: None
    wait_for(lambda: caller.trigger("job_2").status == 409 and "are answered again" in gateway.output, "another line", 15)
    assert gateway.output.count("questions in a row about jobs") == 1, "once"


def test_finished_jobs_are_not_held_up_by_those_of_others(front, upstream):
    """One organization has many jobs whose questions hang, and the connection of another's finished job stays locked."""
    tokens = {}
    gateway = front(upstream, prepare=lambda one: tokens.update(
        {"other": one.written.token("many"), "quiet": one.written.token("quiet", organization="org_quiet")}))
    jobs = JOBS.replace("org_xyz789", "org_quiet")
    # Each question about one of the others' jobs hangs for its ten seconds, and there is no list of all of them.
    hang, hanging = threading.Event(), threading.Semaphore(0)

    def lies(request):
        if "/jobs?order_by" in request.target:
            return b"{}", "400 Bad Request"
        if "/jobs/busy_" in request.target:
            hanging.release()
            hang.wait(10)

    upstream.lies = lies
    wire = gateway.wire()
    for number in range(60):
        body = json.dumps({"connection_id": f"conn_{number}"}).encode()
        fields = {"X-Fault": "well", "X-Id": "t", "X-Job": f"busy_{number}"}
        assert gateway.call("POST", JOBS, body, token=tokens["other"], headers=fields, wire=wire).status == 200
    assert all(hanging.acquire(timeout=10) for _ in range(20)), "questions hang"

    def trigger(job):
        return gateway.call("POST", jobs, {"connection_id": "mine"}, token=tokens["quiet"],
                            headers={"X-Fault": "well", "X-Id": "t", "X-Job": job}).status

    # It lives in the other organization's paths, which this upstream does not tell apart.
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


def test_one_list_is_asked_for_many_leases(front, upstream):
    """An organization starts many jobs, and the upstream gets a question about each of them every few seconds."""
    gateway = front(upstream)
    wire = gateway.wire()
    for number in range(60):
        body = json.dumps({"connection_id": f"conn_{number}"}).encode()
        fields = {"X-Fault": "well", "X-Id": "t", "X-Job": f"job_{number}"}
        assert gateway.call("POST", JOBS, body, headers=fields, wire=wire).status == 200
    # All are due at once after a restart.
    gateway.kill()
    before = len(upstream.polls())
    gateway.start()
    wait_for(lambda: len(upstream.polls()) >= before + 3, "questions", 15)
    assert all("/jobs?order_by" in one.target for one in upstream.polls()[before:before + 3]), "one list, no question for each"
    for number in range(60):
        upstream.ends(f"job_{number}")
    wait_for(lambda: 'gateway_leases{state="held"} 0' in gateway.admin("/metrics")[1], "the end of all leases", 20)
    assert len(upstream.polls()) < before + 20
