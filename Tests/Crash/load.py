"""Clients that load the gateway until it is killed."""

import random
import ssl
import threading

from gateway import CLEAR, JOBS, REFRESH, RUN, SOURCE_CONNECTION, STATE
from notes import spelled

GONE = (EOFError, OSError, ssl.SSLError)


class Client(threading.Thread):
    """One connection; a seeded random generator chooses its requests."""

    def __init__(self, gateway, notes, connections, seed):
        super().__init__(daemon=True)
        self.gateway, self.notes, self.connections = gateway, notes, connections
        self.chance = random.Random(seed)
        self.failure = None
        self.known, self.mine = [], set()

    def run(self):
        try:
            with self.gateway.wire() as self.wire:
                while True:
                    self.step()
        except GONE:
            pass
        except BaseException as error:  # Load.join raises it
            self.failure = error

    def step(self):
        connection = self.chance.choice(self.connections)
        what = self.chance.choices(["trigger", "cancel", "look", "refresh", "clear", "rewind"], [30, 0.4, 45, 10, 4, 10])[0]
        getattr(self, what)(connection)

    def send(self, connection, method, path, body=None, *, may_start_a_job, status=()):
        """Sends a request that may change something and records it. The caller records the response that is returned."""
        self.number = self.notes.sending(connection)
        try:
            answer = self.gateway.call(method, path, body, wire=self.wire)
        except GONE:
            self.notes.lost(connection, may_start_a_job=may_start_a_job)
            raise
        assert answer.status in (200, 409, 429, *status), answer
        return answer

    def trigger(self, connection):
        if connection == SOURCE_CONNECTION and self.chance.random() < 0.7:
            answer = self.send(connection, "POST", RUN, may_start_a_job=True)
        else:
            kind = "sync" if self.chance.random() < 0.9 else "reset"
            body = {"connection_id": connection, "job_type": kind}
            answer = self.send(connection, "POST", JOBS, body, may_start_a_job=True)
        job = None
        if answer.status == 200:
            job = answer.json.get("job_id") or answer.json["id"]
            self.known.append(job)
            self.mine.add(job)
        elif answer.status == 409:
            self.known.append(answer.json["error"]["details"]["active_job"]["id"])
        self.notes.answered(connection, job=job)

    def refresh(self, connection):
        body = {"streams": [], "remove_records": self.chance.random() < 0.5}
        answer = self.send(connection, "POST", spelled(REFRESH, connection), body, may_start_a_job=True)
        self.notes.answered(connection, nameless=answer.status == 200)

    def clear(self, connection):
        answer = self.send(connection, "POST", spelled(CLEAR, connection), {"streams": []}, may_start_a_job=True)
        self.notes.answered(connection, nameless=answer.status == 200)

    def rewind(self, connection):
        wanted = {"state": {}, "state_type": self.chance.choice(["global", "stream", "legacy"])}
        answer = self.send(connection, "PATCH", spelled(STATE, connection), wanted, may_start_a_job=False)
        self.notes.answered(connection, state=wanted if answer.status == 200 else None, number=self.number)

    def cancel(self, connection):
        if not self.known:
            return
        job = self.known[-1]
        answer = self.gateway.call("DELETE", f"{JOBS}/{job}", wire=self.wire)
        assert answer.status in (204, 404, 409, 429), answer
        if answer.status == 204:
            self.notes.cancel_acknowledged(job)

    def look(self, connection):
        if self.known:
            answer = self.gateway.call("GET", f"{JOBS}/{self.known[-1]}", wire=self.wire)
            # A job from another client's 409 may not be on disk yet, or may have been lost with its response.
            assert answer.status == 200 or answer.status == 404 and self.known[-1] not in self.mine, answer
            if answer.status == 200:
                self.notes.seen(answer.json)
        else:
            answer = self.gateway.call("GET", spelled(STATE, connection), wire=self.wire)
            assert answer.status == 200, answer


class Load:
    """Several clients, until the gateway is killed."""

    def __init__(self, gateway, notes, connections, count, seed):
        self.clients = [Client(gateway, notes, connections, seed + index) for index in range(count)]

    def start(self):
        for client in self.clients:
            client.start()

    def join(self):
        for client in self.clients:
            client.join(30)
            assert not client.is_alive(), "a client hangs"
            if client.failure is not None:
                raise client.failure
