"""Lists of a connection's jobs: incomplete lists, one list for many leases, and lists from a cache."""

import datetime
import json
import re
import threading
import time

import pytest

from faulty import answer
from gateway import CONNECTION, JOBS, SOURCE_CONNECTION, wait_for
from jobs_upstream import AirweaveCaller, Caller, JobUpstream, run_id, start_many

pytestmark = pytest.mark.upstream
RUNS = f"/v1/source-connections/{SOURCE_CONNECTION}/jobs"
LONG_AGO = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


@pytest.fixture
def upstream():
    with JobUpstream() as upstream:
        yield upstream


@pytest.fixture
def caller(front, upstream):
    return AirweaveCaller(front(upstream), SOURCE_CONNECTION)


class Lists:
    """The upstream's list of a connection's jobs: by default oldest first, in pages of at most `cap`."""

    def __init__(self, upstream, old, cap):
        self.upstream, self.cap = upstream, cap
        # Whether it understands `offset`.
        self.has_offset = False
        self.order = lambda jobs: jobs
        # Makes the document of a page and all jobs.
        self.words = lambda page, jobs: page
        upstream.list = self.show
        for hour in range(old):
            upstream.begins(run_id(1000 + hour), SOURCE_CONNECTION, "airweave", "completed")
            upstream.jobs[run_id(1000 + hour)]["start"] = (LONG_AGO + datetime.timedelta(hours=hour)).isoformat()

    def show(self, link, request, connection, offset=0):
        jobs = [self.upstream.shown(one) for one, job in list(self.upstream.jobs.items()) if job["connection_id"] == connection]
        jobs = self.order(jobs)
        limit = min(self.cap, int(re.search(r"limit=(\d+)", request.target)[1]))
        page = jobs[offset if self.has_offset else 0:][:limit]
        answer(link, request, json.dumps(self.words(page, jobs)).encode())


def test_a_list_that_is_sorted_oldest_first_is_read_to_its_end(caller, upstream):
    """The first pages have 150 old jobs; the running job is on the last one."""
    Lists(upstream, 150, cap=100).has_offset = True
    assert caller.trigger(run_id(1)).status == 200
    caller.stays_held(10, upstream)
    upstream.ends(run_id(1), "completed")
    caller.is_freed(run_id(2), 5)


def test_jobs_that_have_not_started_may_come_last(caller, upstream):
    """Newest first by start time, as some databases sort: a job without a start time is on a later page."""
    lists = Lists(upstream, 150, cap=100)
    lists.has_offset = True
    lists.order = lambda jobs: sorted(jobs, key=lambda job: job["started_at"] or "", reverse=True)
    upstream.clock = lambda: None
    assert caller.trigger(run_id(1)).status == 200
    caller.stays_held(9, upstream)
    upstream.ends(run_id(1), "completed")
    caller.is_freed(run_id(2), 5)


@pytest.mark.parametrize("words", [
    lambda page, jobs: {"data": page, "has_more": len(page) < len(jobs)},
    lambda page, jobs: {"data": page, "next_cursor": "abc" if len(page) < len(jobs) else None},
    lambda page, jobs: {"data": page, "links": {"next": "/jobs?page=2" if len(page) < len(jobs) else None}},
    lambda page, jobs: {"data": page, "pagination": {"page": 1, "per_page": 50, "total": len(jobs)}},
], ids=["has_more", "next_cursor", "links", "total"])
def test_a_list_that_says_that_there_is_more_is_not_through(caller, upstream, words):
    """Pages of fifty, oldest first; the service ignores the gateway's page parameter, so it gets the first page each time."""
    Lists(upstream, 120, cap=50).words = words
    assert caller.trigger(run_id(1), "reset-before-head").status == 502
    caller.stays_held(6, upstream, "its job is on no page")
    # The remaining jobs fit on one page.
    upstream.jobs = {run_id(1): upstream.jobs[run_id(1)]}
    upstream.ends(run_id(1), "completed")
    caller.is_freed(run_id(2), 5)


def test_a_list_without_an_offset_is_asked_for_more_at_once(caller, upstream):
    """Such a list always shows the same hundred old jobs: the end of the running job would never be seen."""
    Lists(upstream, 150, cap=1000)
    assert caller.trigger(run_id(1)).status == 200
    caller.stays_held(3, upstream)
    upstream.ends(run_id(1), "completed")
    caller.is_freed(run_id(2))


class Recorder:
    """A link that records the bytes that are sent over it."""

    def __init__(self, link):
        self.link, self.sent = link, b""

    def send(self, data):
        self.sent += data
        self.link.send(data)


class Cache:
    """A cache before the service that keeps its responses until it is emptied; it may obey `no-cache`."""

    def __init__(self, upstream, obeys):
        self.stored, self.obeys, self.play = {}, obeys, upstream.play
        upstream.play = self.look

    def look(self, link, request):
        if request.method != "GET":
            return self.play(link, request)
        obeyed = self.obeys and "no-cache" in (request["cache-control"] or "")
        if request.target in self.stored and not obeyed:
            return link.send(self.stored[request.target])
        recorder = Recorder(link)
        self.play(recorder, request)
        self.stored[request.target] = recorder.sent.replace(b"\r\n", b"\r\nAge: 3\r\n", 1)


@pytest.fixture(params=[True, False], ids=["obeys", "obeys not"])
def cache(upstream, request):
    return Cache(upstream, request.param)


def check_cache(cache, gateway):
    """Checks that stored responses are counted; nothing that a client sees may depend on them."""
    stored = int(re.search(r'gateway_job_polls_total\{outcome="stored"\} (\d+)', gateway.admin("/metrics")[1])[1])
    assert (stored == 0) == cache.obeys
    # The stored responses expire.
    cache.stored.clear()
    cache.obeys = True


def test_a_list_that_a_cache_remembers_ends_nothing(cache, front, upstream):
    """A client reads the list, which is empty, and then triggers: for a while the gateway gets the same list."""
    caller = AirweaveCaller(gateway := front(upstream), SOURCE_CONNECTION)
    assert caller.call("GET", f"{RUNS}?limit=100").json == []
    assert caller.trigger(run_id(1), "reset-before-head").status == 502
    caller.stays_held(6, upstream)
    check_cache(cache, gateway)
    upstream.ends(run_id(1), "completed")
    caller.is_freed(run_id(2), 10)


def test_a_job_that_a_cache_remembers_ends_nothing(cache, front, upstream):
    """A job failed; a client reads it and retries it: for a while every reader is told that it has failed."""
    upstream.begins("job_1", CONNECTION, status="failed")
    caller = Caller(gateway := front(upstream))
    assert caller.call("GET", f"{JOBS}/job_1").json["status"] == "failed"
    assert caller.call("POST", f"{JOBS}/job_1/retry", b"{}").status == 200
    caller.stays_held(5, upstream)
    check_cache(cache, gateway)
    upstream.ends("job_1")
    caller.is_freed("job_2", 10)


@pytest.mark.parametrize("path", [f"{JOBS}/job_1", f"{JOBS}?limit=5"], ids=["job", "list"])
def test_what_a_cache_remembers_passes_by_without_effect(front, upstream, path):
    """The same, but the client reads again: the stored response must not free the connection of the running job."""
    upstream.begins("job_1", CONNECTION, status="failed")
    Cache(upstream, obeys=True)
    caller = Caller(front(upstream))
    assert caller.call("GET", path).status == 200
    assert caller.call("POST", f"{JOBS}/job_1/retry", b"{}").status == 200
    again = caller.call("GET", path)
    assert again["age"] == "3" and b'"failed"' in again.body, "clients may have what the cache has"
    caller.stays_held(1, upstream)


def asks_once(gateway, upstream, count):
    """Starts jobs on `count` connections; a restart makes all of them due at once, so that one list covers them."""
    start_many(gateway, count)
    gateway.kill()
    before = len(upstream.polls())
    gateway.start()
    return lambda: upstream.polls()[before:]


def test_one_list_is_asked_for_many_leases(front, upstream):
    """An organization starts many jobs: the upstream must not get a poll for each of them every few seconds."""
    gateway = front(upstream)
    asked = asks_once(gateway, upstream, 60)
    wait_for(lambda: len(asked()) >= 3, "questions", 15)
    assert all("/jobs?order_by" in one.target for one in asked()[:3]), "one list, no question for each"
    for number in range(60):
        upstream.ends(f"job_{number}")
    wait_for(lambda: 'gateway_leases{state="held"} 0' in gateway.admin("/metrics")[1], "the end of all leases", 20)
    assert len(asked()) < 20


def test_who_waits_does_not_wait_for_a_list_of_many(front, upstream):
    """The list of all jobs takes as long as it may: a job that has ended must not keep its connection until then."""
    hang = threading.Event()

    def lies(request):
        if "/jobs?order_by" in request.target:
            hang.wait(9)

    upstream.lies = lies
    gateway = front(upstream)
    asked = asks_once(gateway, upstream, 12)
    wait_for(lambda: any("/jobs?order_by" in one.target for one in asked()), "the list", 15)
    upstream.ends("job_0")
    ended = time.monotonic()
    try:
        Caller(gateway, "conn_0").is_freed("job_next", 12)
        assert time.monotonic() - ended < 5
    finally:
        hang.set()


def test_a_list_of_many_that_is_refused_is_counted_as_that(front, upstream):
    """The gateway may not read the list: the operator must not be told of unreadable responses."""
    gateway = front(upstream)
    upstream.lies = lambda request: (b"{}", "401 Unauthorized") if gateway.starts > 1 else None
    asked = asks_once(gateway, upstream, 12)
    wait_for(lambda: any("/jobs?order_by" in one.target for one in asked()), "the list", 15)

    def counts():
        found = re.findall(r'gateway_job_polls_total\{outcome="(\w+)"\} (\d+)', gateway.admin("/metrics")[1])
        return {outcome: int(count) for outcome, count in found if count != "0"}

    wait_for(lambda: sum(counts().values()) > 12, "answers about the list and each of the jobs", 15)
    assert list(counts()) == ["refused"]
    assert gateway.output.count("status polls in a row for the jobs") == 1
