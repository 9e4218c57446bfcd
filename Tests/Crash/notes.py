"""The responses that the clients got, compared with the gateway's state after a crash."""

import threading
from collections import Counter

from gateway import CONNECTION, ENDED, RUN, STATE


def spelled(path, connection):
    return path.replace(CONNECTION, connection)


def state_of(gateway, connection):
    answer = gateway.call("GET", spelled(STATE, connection))
    assert answer.status == 200, answer
    return answer.json


class Notes:
    """Records every request that may change something, before it is sent and after its response."""

    def __init__(self):
        self.lock = threading.Lock()
        self.started = {}  # job id -> connection, acknowledged
        self.unanswered = Counter()  # connection -> triggers, refreshes and clears without a response
        self.nameless = Counter()  # connection -> acknowledged refreshes and clears: their response names no job
        self.cancelled = set()  # job ids whose cancel was acknowledged
        self.ended = {}  # job id -> the ended job, as a client saw it
        self.state = {}  # connection -> the last acknowledged state; absent if a later request may have changed it
        self.open = Counter()  # connection -> requests in flight
        self.sent = Counter()  # connection -> requests sent so far

    def __str__(self):
        return (f"{len(self.started)} jobs, {sum(self.nameless.values())} refreshes and clears, {len(self.cancelled)} cancels "
                f"acknowledged, {sum(self.unanswered.values())} answers lost")

    def sending(self, connection):
        """Called before a request that may start a job or update the state. Returns its number if no other is in flight."""
        with self.lock:
            self.state.pop(connection, None)
            self.open[connection] += 1
            self.sent[connection] += 1
            return self.sent[connection] if self.open[connection] == 1 else None

    def answered(self, connection, *, job=None, nameless=False, state=None, number=None):
        with self.lock:
            self.open[connection] -= 1
            if job is not None:
                assert job not in self.started, f"job {job} was given out twice"
                self.started[job] = connection
            if nameless:
                self.nameless[connection] += 1
            # Still in force only if no request that may change it was in flight at the same time.
            if state is not None and number == self.sent[connection]:
                self.state[connection] = state

    def lost(self, connection, *, may_start_a_job):
        with self.lock:
            self.open[connection] -= 1
            if may_start_a_job:
                self.unanswered[connection] += 1

    def cancel_acknowledged(self, job):
        with self.lock:
            self.cancelled.add(job)

    def seen(self, job):
        if job["status"] in ENDED:
            with self.lock:
                self.ended[job["job_id"]] = job

    def everything(self, gateway):
        """All jobs of the organization, read in pages."""
        jobs, total = [], None
        while total is None or len(jobs) < total:
            page = gateway.jobs(f"?limit=100&offset={len(jobs)}&order_by=createdAt%7CASC")
            jobs += page["data"]
            total = page["total"]
            assert page["data"] or len(jobs) == total, f"{len(jobs)} jobs listed, total says {total}"
        return jobs

    def compare(self, gateway, *, settled=False):
        """Compares the records with the restarted gateway; `settled` if no job runs. Returns the number of jobs by status."""
        # Read before the jobs, because running jobs change it.
        states = {connection: state_of(gateway, connection) for connection in self.state}
        jobs = self.everything(gateway)
        times = Counter(job["job_id"] for job in jobs)
        doubled = [job for job, count in times.items() if count > 1]
        assert not doubled, f"listed twice: {doubled}"
        missing = set(self.started) - set(times)
        assert not missing, f"acknowledged, but gone: {sorted(missing)}"
        by_id = {job["job_id"]: job for job in jobs}
        for job_id, connection in self.started.items():
            assert by_id[job_id]["connection_id"] == connection, by_id[job_id]
        for job_id in self.cancelled:
            status = by_id[job_id]["status"]
            # An accepted cancel may not be complete yet, but `cancelled` is its only end.
            assert status == "cancelled" or not settled and status not in ENDED, f"its cancel was acknowledged: {status}"
        for job_id, before in self.ended.items():
            assert by_id[job_id] == before, f"seen at its end as {before}, now {by_id[job_id]}"
        running = Counter(job["connection_id"] for job in jobs if job["status"] not in ENDED)
        assert all(count <= 1 for count in running.values()), f"running: {running}"
        for connection in set(job["connection_id"] for job in jobs):
            there = sum(job["connection_id"] == connection for job in jobs)
            known = sum(one == connection for one in self.started.values()) + self.nameless[connection]
            assert known <= there <= known + self.unanswered[connection], (
                f"{connection}: {there} jobs, {known} acknowledged, {self.unanswered[connection]} answers lost")
        for connection, wanted in self.state.items():
            if not running[connection]:
                assert states[connection] == wanted, f"{connection}: {states[connection]}, acknowledged {wanted}"
        return Counter(job["status"] for job in jobs)

    def last_sync(self, gateway, connection):
        """Runs a last sync to its end and records its job."""
        job = gateway.trigger(connection=connection)
        if job.status == 404:
            job = gateway.call("POST", RUN)
        assert job.status == 200, job
        job_id = job.json.get("job_id") or job.json["id"]
        self.started[job_id] = connection
        done = gateway.finished(job_id, 120)
        assert done["status"] == "succeeded", done
        return True

