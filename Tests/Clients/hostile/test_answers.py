"""Lost or meaningless responses: the connection stays held for as long as the request may be at work."""

import datetime
import json
import struct
import threading
import time

import pytest

from faulty import answer
from gateway import CONNECTION, JOBS, STATE, wait_for
from jobs_upstream import Caller, JobUpstream
from proxied import QUICK
from wire import envelope

pytestmark = pytest.mark.upstream


@pytest.fixture
def upstream():
    with JobUpstream() as upstream:
        yield upstream


@pytest.fixture
def start(front, upstream):
    """A gateway with this time limit for responses, and a caller."""
    def start(seconds):
        gateway = front(upstream, timeouts={**QUICK, "responseHead": f"{seconds}s"})
        return gateway, Caller(gateway)

    return start


def outlasts(caller, upstream, seconds):
    """Checks that the connection is held until `job_1` begins, within `seconds` at most, and while it runs, but no longer."""
    until = time.monotonic() + seconds
    while "job_1" not in upstream.jobs and time.monotonic() < until:
        assert caller.trigger("job_2").status == 409, "the request may still be at work"
        time.sleep(0.2)
    caller.stays_held(3, upstream)
    upstream.ends("job_1")
    upstream.delay = 0
    caller.is_freed("job_3")


@pytest.mark.parametrize("fault", ["reset-before-head", "hang-before-head"])
def test_a_lost_answer_holds_for_as_long_as_it_might_have_taken(start, upstream, fault):
    """The connection is cut, and the job begins seconds later: until then the list says that nothing runs."""
    _, caller = start(6)
    upstream.delay = 5
    assert caller.trigger("job_1", fault=fault).status in (502, 504)
    outlasts(caller, upstream, 9)


@pytest.mark.parametrize("fields", [["Retry-After: 1"], []], ids=["says when to come back", "says nothing"])
def test_a_service_that_is_busy(start, upstream, fields):
    """Only a 503 with a time to come back means that no work began: a proxy may send 503 for a request at work, too."""
    _, caller = start(6)
    play, busy = upstream.play, [True]

    def turn_away(link, request):
        if request.method == "POST" and busy:
            busy.clear()
            return answer(link, request, b"{}", "503 Service Unavailable", *fields)
        return play(link, request)

    upstream.play = turn_away
    assert caller.trigger("job_1").status == 503
    begun = time.monotonic()
    assert caller.trigger("job_2").status == 409
    caller.is_freed("job_3", 14)
    assert (time.monotonic() - begun < 6) == bool(fields)


@pytest.mark.parametrize("ahead", [0, 5, 7200], ids=["its clock is right", "its clock is ahead", "its zone is another"])
def test_the_end_of_somebody_elses_job_does_not_free_a_lost_trigger(start, upstream, ahead):
    """A job runs that the gateway did not start, and a trigger is lost. The listed job ends before the trigger's job begins."""
    now = upstream.clock
    upstream.clock = lambda: now() + datetime.timedelta(seconds=ahead)
    _, caller = start(6)
    upstream.begins("job_other", CONNECTION)
    time.sleep(1.1)  # The jobs must begin in different seconds.
    upstream.delay = 5
    assert caller.trigger("job_1", fault="reset-before-head").status == 502
    wait_for(lambda: upstream.polls(f"{JOBS}/job_other"), "the other job is taken for it", 6)
    upstream.ends("job_other")
    outlasts(caller, upstream, 8)


def test_a_lost_answer_without_a_job_ends_all_the_same(start, upstream):
    """No job began: once the request cannot be at work any more, the connection is free."""
    _, caller = start(3)
    began = time.monotonic()
    assert caller.trigger(fault="reset-before-head").status == 502
    caller.is_freed("job_2", 12)
    assert time.monotonic() - began > 4.5


def killed_at_work(gateway, caller, upstream):
    """Kills the gateway while the upstream works on a trigger, whose job begins in five seconds."""
    upstream.delay = 5
    threading.Thread(target=lambda: pytest.raises(Exception, caller.trigger, "job_1", "hang-before-head"), daemon=True).start()
    wait_for(upstream.started, "the trigger")
    gateway.kill()


def test_a_crash_does_not_shorten_the_time_of_a_lost_answer(start, upstream):
    """The gateway is killed while the upstream works on the trigger; after the restart the list does not show the job."""
    gateway, caller = start(6)
    killed_at_work(gateway, caller, upstream)
    gateway.start()
    outlasts(caller, upstream, 7)


def test_the_journal_of_an_older_gateway_does_not_shorten_it_either(start, upstream):
    """The killed gateway recorded no time limit for its requests; the next one must not take that for zero."""
    gateway, caller = start(6)
    killed_at_work(gateway, caller, upstream)
    assert forget(gateway.state / "leases.journal", "patience", "path") == 1
    gateway.start()
    outlasts(caller, upstream, 7)


def forget(journal, *names):
    """Removes these members from all records of a journal. Returns how many had the first.

    A header of 24 bytes, whose last 12 are salt and checksum; then frames: magic, length, checksum and JSON of each.
    """
    data = journal.read_bytes()
    kept, at, found = data[:24], 24, 0
    salt = data[12:20]
    while at + 12 <= len(data):
        magic, length, _ = struct.unpack_from("<III", data, at)
        record = json.loads(data[at + 12:at + 12 + length])
        at += 12 + length
        found += names[0] in record
        body = json.dumps({name: value for name, value in record.items() if name not in names}).encode()
        checksum = crc32c(salt + struct.pack("<QQ", len(kept), len(body)) + body)
        kept += struct.pack("<III", magic, len(body), checksum) + body
    journal.write_bytes(kept)
    return found


def crc32c(data):
    rest = 0xFFFFFFFF
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = (rest >> 1) ^ (0x82F63B78 if rest & 1 else 0)
    return rest ^ 0xFFFFFFFF


def posts(upstream, reply):
    """The upstream's response to requests that may start a job: `reply(link, request)`."""
    play = upstream.play
    upstream.play = lambda link, request: (
        reply(link, request) if request.method == "POST" and request["x-fault"] == "odd" else play(link, request))


@pytest.mark.parametrize("status", ["302 Found", "303 See Other", "408 Request Timeout", "499 Client Closed Request"])
def test_answers_that_say_nothing_of_the_work(front, upstream, status):
    """The job was started, but the response is a redirect, or a proxy's timeout."""
    def moved(link, request):
        upstream.begins(request["x-job"], CONNECTION)
        answer(link, request, b"{}", status, f"Location: {JOBS}/job_1")

    posts(upstream, moved)
    caller = Caller(front(upstream))
    assert caller.trigger("job_1", "odd").status < 500
    assert caller.trigger("job_2").status == 409, "the job may run"
    wait_for(lambda: caller.trigger("job_2").json["error"]["details"]["active_job"]["id"] == "job_1", "the job's name")
    upstream.ends("job_1")
    caller.is_freed("job_3")


def test_work_that_was_accepted_may_begin_late(start, upstream):
    """A trigger is queued: the response is 202 without a job, and the list says that nothing runs until the job begins."""
    def accepted(link, request):
        threading.Timer(4, upstream.begins, (request["x-job"], CONNECTION)).start()
        answer(link, request, b"{}", "202 Accepted")

    posts(upstream, accepted)
    _, caller = start(5)
    assert caller.trigger("job_1", "odd").status == 202
    outlasts(caller, upstream, 6)


def test_what_was_accepted_has_not_ended(front, upstream):
    """The response to a retry is 202 with the job as it was, failed; the job is about to run again."""
    def accepted(link, request):
        answer(link, request, json.dumps(upstream.shown("job_1")).encode(), "202 Accepted")
        upstream.ends("job_1", "running")

    posts(upstream, accepted)
    upstream.begins("job_1", CONNECTION, status="failed")
    caller = Caller(front(upstream))
    assert caller.call("POST", f"{JOBS}/job_1/retry", b"{}", "X-Fault: odd").status == 202
    caller.stays_held(5, upstream)
    upstream.ends("job_1")
    caller.is_freed("job_2")


def test_a_lost_state_update_keeps_its_lock(start, upstream):
    """A proxy gives up on a state update that continues: without the lock, a sync would start beside it."""
    _, caller = start(2)
    began = time.monotonic()
    assert caller.call("PATCH", STATE, b"{}", "X-Fault: hang-before-head").status == 504
    refused = envelope(caller.trigger("job_1"), 409)
    assert refused["details"]["connection_id"] == CONNECTION
    wait_for(lambda: caller.trigger("job_1").status == 200, "the end of the lock", 10)
    assert time.monotonic() - began > 3.5
