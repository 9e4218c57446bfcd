"""Starts the built gateway as an operator would, on free ports, with throw-away policies and state."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from wire import Wire

ROOT = Path(__file__).resolve().parents[3]
ORGANIZATION = "org_xyz789"
CONNECTION = "conn_abc123"
SOURCE_CONNECTION = "550e8400-e29b-41d4-a716-446655440000"
BASE = f"/v1/organizations/{ORGANIZATION}/knowledge/connectors"
JOBS = f"{BASE}/jobs"
STATE = f"{BASE}/connections/{CONNECTION}/state"
REFRESH = f"{BASE}/connections/{CONNECTION}/refresh"
CLEAR = f"{BASE}/connections/{CONNECTION}/clear"
RUN = f"/v1/source-connections/{SOURCE_CONNECTION}/run"
ENDED = {"succeeded", "failed", "cancelled", "completed"}


def binary():
    """The gateway under test: GATEWAY_BINARY, or the newest build."""
    if path := os.environ.get("GATEWAY_BINARY"):
        return path
    built = [ROOT / ".build" / kind / "gateway" for kind in ("release", "debug")]
    built = [path for path in built if path.exists()]
    assert built, "build the gateway first: swift build -c release --product gateway"
    return str(max(built, key=lambda path: path.stat().st_mtime))


def environment(**more):
    """The environment of the tests, without variables that would change the gateway."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GATEWAY_")}
    return {**kept, **more}


def run(*arguments, deadline=30, cwd=None, **more):
    """Runs a gateway command to its end."""
    return subprocess.run(
        [binary(), *map(str, arguments)], capture_output=True, text=True, timeout=deadline,
        stdin=subprocess.DEVNULL, env=environment(**more), cwd=cwd or ROOT)


def one_clear_line(text, *words):
    """Checks that there is exactly one error, in one line, with these words."""
    lines = [line for line in text.splitlines() if line.startswith("gateway: ") and "warning" not in line]
    assert len(lines) == 1, text
    for word in words:
        assert word in lines[0], text


def wait_for(condition, what, deadline=20):
    """Polls until `condition()` is true, and returns its value."""
    until = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= until:
            raise AssertionError(f"not within {deadline} s: {what}")
        time.sleep(0.02)


def new_token():
    """A token in the gateway's own format."""
    answer = run("token", "create")
    assert answer.returncode == 0, answer.stderr
    return re.search(r"\bcgw_[A-Za-z0-9_-]+", answer.stdout).group(0)


class Policies:
    """A copy of the shipped policies that a test may change."""

    def __init__(self, folder):
        self.folder = Path(folder)
        shutil.copytree(ROOT / "policies", self.folder)
        self.organizations = {}
        self.gateway = {}

    def settings(self, **sections):
        """Replaces blocks of the gateway section; all other blocks have their defaults."""
        self.gateway.update(sections)
        self.write("gateway.json5", {"gateway": self.gateway})
        return self

    def certificates(self, folder, *names):
        """Serves certificates of make-certs.sh."""
        pairs = [{"certificate": f"{folder}/{name}.pem", "key": f"{folder}/{name}.key"} for name in names]
        return self.settings(tls={"certificates": pairs})

    def write(self, name, document):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = document if isinstance(document, str) else json.dumps(document, indent=2)
        beside = path.with_name(path.name + ".new")
        beside.write_text(text)
        beside.rename(path)

    def read(self, name):
        return (self.folder / name).read_text()

    def token(self, name, scopes=("connectors:read", "connectors:write", "connectors:run"),
              organization=ORGANIZATION, **more):
        """Adds a token for `organization`, and returns its text."""
        text = new_token()
        entry = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "scopes": list(scopes), **more}
        self.organizations.setdefault(organization, {"tokens": {}})["tokens"][name] = entry
        self.write("organizations/proof.json5", {"organizations": self.organizations})
        return text

    def generous(self, resends=False):
        """Sets rates that no test reaches by accident. Unless `resends`, a request that is sent twice conflicts with itself."""
        if not resends:
            self.without_resends()
        text = self.read("limits.json5")
        text = re.sub(r'allow:\s*"[^"]*"', 'allow: "6000000/min"', text)
        text = re.sub(r"burst:\s*\d+", "burst: 100000", text)
        self.write("limits.json5", text)
        return self


    def without_resends(self):
        """A request that is sent twice conflicts with itself, so that a test needs no second caller to see a conflict."""
        self.write("routes.json5", re.sub(r'lease: "\w+",', r'\g<0> resendWindow: "0s",', self.read("routes.json5")))
        return self


class Gateway:
    """One running gateway, a child process of the test."""

    def __init__(self, state, policies=None, *, workers=None, pace=None, arguments=(), variables=None,
                 listen="127.0.0.1:0", ca=None):
        self.state = Path(state)
        self.policies = Path(policies or ROOT / "policies")
        self.arguments = list(arguments)
        self.workers = workers
        self.listen = listen
        self.variables = dict(variables or {})
        # The file for standard output, if it is not that of standard error.
        self.apart = None
        # A command that starts the gateway by exec.
        self.within = []
        if pace is not None:
            rows, milliseconds = pace
            self.variables["GATEWAY_CONNECTORS_ROWS_PER_SECOND"] = str(rows)
            self.variables["GATEWAY_CONNECTORS_MINIMUM_MS"] = str(milliseconds)
        self.ca = Path(ca) if ca else self.state / "ca.pem"
        self.process = None
        self.token = None
        self.starts = 0

    @property
    def output(self):
        """The output of this run, standard output and error together."""
        return self.log.read_text(errors="replace")

    def command(self):
        """The subcommand and its arguments."""
        return ["serve", "--admin", "127.0.0.1:0", "--policies", self.policies]

    def launch(self):
        """Starts the process without waiting."""
        self.state.mkdir(parents=True, exist_ok=True)
        self.starts += 1
        self.log = self.state.parent / f"{self.state.name}.{os.getpid()}.{id(self)}.{self.starts}.log"
        workers = ["--workers", self.workers] if self.workers else []
        command = [*self.within, binary(), *self.command(), "--listen", self.listen, "--state", self.state, *workers, *self.arguments]
        with open(self.log, "ab") as log, open(self.apart or self.log, "ab") as lines:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=lines, stderr=log,
                env=environment(**self.variables), cwd=self.state.parent)

    def start(self, deadline=30):
        """Starts the gateway and waits until it is ready."""
        self.launch()
        try:
            self.port = int(self._printed(r"(?:listening|serving)\D*?https://[^\s:/]+:(\d+)", deadline))
            self.admin_port = int(self._printed(r"admin\D*?http://[^\s:/]+:(\d+)", deadline))
            wait_for(lambda: self._ready(), "readiness", deadline)
        except BaseException:
            self.kill()
            raise
        if self.token is None:
            self.read_token()
        return self

    def read_token(self):
        """The demo token, from the output of the run that shows it."""
        if match := re.search(r"\b(cgw_[A-Za-z0-9_-]+)", self.output):
            self.token = match.group(1)

    def _printed(self, pattern, deadline):
        def look():
            if match := re.search(pattern, self.output, re.IGNORECASE):
                return match.group(1)
            if self.process.poll() is not None:
                raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{self.output}")
            return None

        return wait_for(look, f"a line like {pattern} in\n{self.output}", deadline)

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{self.output}")
        try:
            return self.admin("/readyz")[0] == 200
        except OSError:
            return False

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def admin(self, path):
        """Status and text of a response of the admin listener."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, deadline=30):
        """Ends the gateway as an operator would, and returns its exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def wire(self, **options):
        return Wire(self.port, self.ca, **options)

    def call(self, method, path, body=None, *, token="", headers=(), wire=None):
        """Sends one request on a connection of its own (or `wire`) and reads the whole response.

        `token` is the demo token by default; None means no credential.
        """
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{self.port}"]
        if token is not None:
            lines.append(f"Authorization: Bearer {token or self.token}")
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in dict(headers).items()]
        message = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")
        if wire is not None:
            wire.send(message)
            return wire.final(head=method == "HEAD")
        with self.wire() as wire:
            wire.send(message)
            return wire.final(head=method == "HEAD")

    def trigger(self, job_type="sync", connection=CONNECTION, **options):
        return self.call("POST", JOBS, {"connection_id": connection, "job_type": job_type}, **options)

    def job(self, job_id, **options):
        answer = self.call("GET", f"{JOBS}/{job_id}", **options)
        assert answer.status == 200, answer
        return answer.json

    def jobs(self, query="", **options):
        answer = self.call("GET", f"{JOBS}{query}", **options)
        assert answer.status == 200, answer
        return answer.json

    def running(self, **options):
        return [job for job in self.jobs("?limit=100&order_by=createdAt%7CDESC", **options)["data"]
                if job["status"].lower() not in ENDED]

    def idle(self, deadline=60, **options):
        """Waits until no job runs."""
        wait_for(lambda: not self.running(**options), "all jobs ended", deadline)

    def finished(self, job_id, deadline=60, **options):
        """Waits until the job has ended, and returns it."""
        return wait_for(
            lambda: (job := self.job(job_id, **options))["status"].lower() in ENDED and job,
            f"job {job_id} ended", deadline)

    def log_lines(self):
        """The access log so far."""
        lines = []
        for line in self.output.splitlines():
            if line.startswith("{"):
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    pass
        return lines


def free_port():
    """A port that was free a moment ago; the returned socket keeps it until closed."""
    keeper = socket.socket()
    keeper.bind(("127.0.0.1", 0))
    keeper.listen()
    return keeper, keeper.getsockname()[1]
