"""A connector service whose jobs the test controls; it records who polls them."""

import datetime
import json
import re
import threading
import time
import urllib.parse

from faulty import FAULTS, Upstream, answer
from gateway import CONNECTION, JOBS, wait_for
from outcome import new_id, request

TRIGGER = re.compile(rf"{re.escape(JOBS)}\Z|(?:/v1)?/source-connections/([^/]+)/run\Z")
LIST = re.compile(rf"{re.escape(JOBS)}\Z|(?:/v1)?/source-connections/([^/]+)/jobs\Z")
ONE = re.compile(rf"{re.escape(JOBS)}/([^/]+)\Z")
RETRY = re.compile(rf"{re.escape(JOBS)}/([^/]+)/retry\Z")


def run_id(number):
    """A possible id of an Airweave job."""
    return f"00000000-0000-4000-8000-{number:012}"


class JobUpstream(Upstream):
    """A trigger starts the job that its `X-Job` names, even if its response is lost; without that field it starts none."""

    def __init__(self, *, base="", **options):
        self.base = base
        self.jobs = {}
        # Connections for which it refuses to list the jobs.
        self.mute = set()
        # A trigger with `X-Fault: wait` waits for this before its good response.
        self.told = threading.Event()
        # Its false response to a request without an id, which is the gateway's own: None, or arguments of `answer`.
        self.lies = lambda request: None
        # The start time of new jobs; None if they have not started.
        self.clock = lambda: datetime.datetime.now(datetime.timezone.utc)
        # Seconds from a trigger to its job, even if the response was lost.
        self.delay = 0
        # The maximum of jobs in a list, oldest first.
        self.page = None
        super().__init__(**options)

    def begins(self, identity, connection, family="", status="running"):
        """Starts a job, which runs from now on."""
        start = self.clock()
        self.jobs[identity] = {"connection_id": connection, "status": status, "family": family, "start": start and start.isoformat()}

    def ends(self, identity, status="succeeded"):
        self.jobs[identity]["status"] = status

    def play(self, link, request):
        path, _, query = request.target.removeprefix(self.base).partition("?")
        if request.id is None and (lie := self.lies(request)) is not None:
            return answer(link, request, *lie)
        if request.method == "POST" and (found := RETRY.match(path)):
            self.jobs[found[1]]["status"] = "running"
            self.jobs[found[1]]["starts"] = self.jobs[found[1]].get("starts", 1) + 1
            return answer(link, request, json.dumps(self.shown(found[1])).encode())
        if request.method == "POST" and (found := TRIGGER.match(path)):
            if identity := request["x-job"]:
                body = json.loads(request.body or b"{}")
                connection = found[1] or body.get("connection_id") or body["connectionId"]
                begin = lambda: self.begins(identity, connection, "airweave" if found[1] else "")
                threading.Timer(self.delay, begin).start() if self.delay else begin()
            if request.fault == "wait":
                self.told.wait(30)
            if identity and request.fault in ("well", "wait"):
                return answer(link, request, json.dumps(self.shown(identity)).encode())
        elif request.method == "GET" and (found := LIST.match(path)):
            asked = {name: values[0] for name, values in urllib.parse.parse_qs(query).items()}
            return self.list(link, request, found[1] or asked.get("connection_id"), int(asked.get("offset", 0)))
        elif request.method == "GET" and (found := ONE.match(path)):
            if found[1] not in self.jobs:
                return answer(link, request, b'{"detail": "There is no such job."}', "404 Not Found")
            return answer(link, request, json.dumps(self.shown(found[1])).encode())
        FAULTS[request.fault](link, request)

    def list(self, link, request, connection, offset=0):
        if connection in self.mute:
            return answer(link, request, b"{}", "503 Service Unavailable")
        jobs = [self.shown(identity) for identity, job in list(self.jobs.items()) if connection in (None, job["connection_id"])]
        total = len(jobs)
        if self.page is not None:
            jobs = jobs[offset:offset + self.page]
        whole = {"data": jobs, "total": total} if JOBS in request.target else jobs
        answer(link, request, json.dumps(whole).encode())

    def shown(self, identity):
        """The job in the format of its family."""
        job = self.jobs[identity]
        if job["family"]:
            return {"id": identity, "source_connection_id": job["connection_id"], "status": job["status"], "started_at": job["start"]}
        return {"job_id": identity, "connection_id": job["connection_id"], "job_type": "sync", "status": job["status"], "start_time": job["start"]}

    def started(self):
        """All requests that may have started a job."""
        return [one for one in self.received() if one.method == "POST"]

    def polls(self, path=""):
        """The gateway's own requests, or those for one path. The clients of the tests send an id with each request."""
        return [one for one in self.received() if one.id is None and path in ("", one.target.split("?")[0])]


class Caller:
    """A client that triggers jobs of one connection."""

    def __init__(self, gateway, connection=CONNECTION):
        self.gateway, self.connection = gateway, connection
        self.path, self.body = JOBS, b'{"connection_id": "%s", "job_type": "sync"}' % connection.encode()
        self.airweave = False

    def call(self, method, path, body=None, *fields):
        with self.gateway.wire() as wire:
            wire.send(request(self.gateway, method, path, [f"X-Id: {new_id()}", *fields], body))
            return wire.final()

    def trigger(self, job=None, fault="well"):
        fields = [f"X-Fault: {fault}", *([f"X-Job: {job}"] if job else [])]
        return self.call("POST", self.path, self.body, *fields)

    def name(self, number):
        return run_id(number) if self.airweave else f"job_{number}"

    def stays_held(self, seconds, upstream, what="the job runs"):
        """Checks that triggers are refused for so many seconds, and that none reaches the upstream."""
        before, until = len(upstream.started()), time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.trigger(self.name(99)).status == 409, what
            time.sleep(0.2)
        assert len(upstream.started()) == before

    def is_freed(self, job, deadline=8):
        """Waits until a trigger succeeds, which starts that job."""
        wait_for(lambda: self.trigger(job).status == 200, "the end of the lease", deadline)


class AirweaveCaller(Caller):
    """The same with Airweave's API."""

    def __init__(self, gateway, connection):
        super().__init__(gateway, connection)
        self.path, self.body, self.airweave = f"/v1/source-connections/{connection}/run", b"{}", True


def start_many(gateway, count, job="job", **options):
    """Triggers a job on each of `count` connections."""
    wire = gateway.wire()
    for number in range(count):
        fields = {"X-Fault": "well", "X-Id": "t", "X-Job": f"{job}_{number}"}
        answer = gateway.call("POST", JOBS, {"connection_id": f"conn_{number}"}, headers=fields, wire=wire, **options)
        assert answer.status == 200, answer
