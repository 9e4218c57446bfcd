"""The process under bad conditions: readers that stop reading, signals meant for other servers, endless files."""

import os
import re
import select
import signal
import subprocess
import time

import pytest

from gateway import STATE, Gateway, binary, environment, wait_for

pytestmark = pytest.mark.lifecycle


class Piped(Gateway):
    """A gateway with separate output streams, one of which may be a pipe that is not read."""

    unread_output = unread_errors = False

    def launch(self):
        self.state.mkdir(parents=True, exist_ok=True)
        self.log = self.state.parent / f"{self.state.name}.errors"
        self.lines = self.state.parent / f"{self.state.name}.lines"
        self.pipe = os.pipe() if self.unread_output else None
        output = self.pipe[1] if self.pipe else os.open(self.lines, os.O_WRONLY | os.O_CREAT)
        with open(self.log, "wb") as errors:
            self.process = subprocess.Popen(
                [binary(), *map(str, self.command()), "--listen", self.listen, "--state", str(self.state), "--workers", "1"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment(), cwd=self.state.parent)
        os.close(output)

    def kill(self):
        super().kill()
        if self.pipe:
            os.close(self.pipe[0])
            self.pipe = None


@pytest.fixture
def piped(tmp_path, policies):
    running = []

    def start(**attributes):
        policies.generous().settings(timeouts={"drainDelay": "0s", "drain": "2s"})
        gateway = Piped(tmp_path / "piped", policies.folder)
        for name, value in attributes.items():
            setattr(gateway, name, value)
        running.append(gateway)
        return gateway.start()

    yield start
    for gateway in running:
        gateway.kill()


def fill(gateway):
    """Sends so many requests that their log lines do not fit into the pipe."""
    with gateway.wire() as wire:
        for _ in range(600):
            assert gateway.call("GET", STATE, wire=wire).status == 200


def test_nobody_reads_the_access_log(piped):
    """A log reader that stops reading must not keep the process after SIGTERM."""
    gateway = piped(unread_output=True)
    fill(gateway)
    begun = time.monotonic()
    gateway.signal(signal.SIGTERM)
    assert gateway.process.wait(7) == 0
    assert time.monotonic() - begun < 7
    assert "the reader of the access log did not read" in gateway.output


def test_a_second_signal_waits_for_nobody(piped, policies):
    """A request in flight and a stopped log reader together do not delay a second SIGTERM."""
    gateway = piped(unread_output=True)
    policies.settings(timeouts={"drainDelay": "60s", "drain": "60s"})
    gateway.signal(signal.SIGHUP)
    wait_for(lambda: "policies reloaded" in gateway.output, "the long drain")
    fill(gateway)
    gateway.signal(signal.SIGTERM)
    wait_for(lambda: "draining" in gateway.output, "the drain")
    gateway.signal(signal.SIGINT)
    assert gateway.process.wait(3) in (0, 1)


def test_nobody_reads_standard_error(tmp_path, policies):
    """A reader of standard error that stops reading blocks neither the process nor a reload."""
    reader, writer = os.pipe()
    output = tmp_path / "lines"
    with open(output, "wb") as lines:
        process = subprocess.Popen(
            [binary(), "--listen", "127.0.0.1:0", "--admin", "off", "--policies", str(policies.folder), "--state",
             str(tmp_path / "state"), "--workers", "1"], stdin=subprocess.DEVNULL, stdout=lines, stderr=writer, env=environment())
    os.close(writer)
    try:
        wait_for(lambda: "curl" in waiting(reader) + output.read_text(), "the start")
        # Far more than a pipe can hold.
        policies.write("routes.json5", "{ routes: { " + "a: { match: 1 }, " * 2000 + "} }")
        for _ in range(20):
            process.send_signal(signal.SIGHUP)
            time.sleep(0.05)  # between signals: several pending ones arrive as one
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert process.wait(15) in (0, 1)
    finally:
        process.kill()
        process.wait()
        os.close(reader)


def waiting(reader):
    """The number of bytes in a pipe."""
    return os.read(reader, 65536).decode() if select.select([reader], [], [], 0)[0] else ""


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_habits_of_other_servers(fresh, number):
    """Log rotators send SIGUSR1 and SIGUSR2 to all kinds of servers."""
    fresh.signal(number)
    line = wait_for(lambda: re.search(rf"gateway: {number.name} is ignored.*", fresh.output), "a line that tells it")
    assert "SIGHUP" in line.group(0) and "standard output" in line.group(0)
    assert fresh.call("GET", STATE).status == 200
    assert fresh.stop() == 0


def test_sigquit_drains(fresh):
    fresh.signal(signal.SIGQUIT)
    assert fresh.process.wait(30) == 0
    assert "draining" in fresh.output and "stopped" in fresh.output


@pytest.fixture
def endless(policies, tmp_path):
    """Makes a policy folder that takes minutes to read: three million folders, by links."""
    maze = [tmp_path / f"maze{depth}" for depth in range(6)]
    for folder in maze:
        folder.mkdir()
    for folder, below in zip(maze, maze[1:]):
        for number in range(20):
            (folder / f"link{number}").symlink_to(below)
    return lambda: (policies.folder / "endless").symlink_to(maze[0])


def seconds_worked(pid):
    """Processor time of a process."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_check_that_takes_long_can_be_interrupted(policies, endless, number):
    endless()
    process = subprocess.Popen(
        [binary(), "policy", "check", str(policies.folder)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=environment(),
        # In the background of a shell, as these tests may run, SIGINT is ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        wait_for(lambda: seconds_worked(process.pid) > 0.5, "the check to read")
        process.send_signal(number)
        assert process.wait(3) == -number
    finally:
        process.kill()
        process.wait()


def test_a_reload_that_takes_long_holds_nobody_up(start, policies, endless):
    """While policies are read and compiled, SIGTERM takes effect and clients are served."""
    policies.settings(timeouts={"drainDelay": "1s"})
    gateway = start(policies)
    before = seconds_worked(gateway.process.pid)
    endless()
    gateway.signal(signal.SIGHUP)
    wait_for(lambda: seconds_worked(gateway.process.pid) > before + 0.5, "the reload to read")
    assert gateway.call("GET", STATE).status == 200
    gateway.signal(signal.SIGTERM)
    wait_for(lambda: gateway.admin("/readyz")[0] == 503, "readiness to fail", 3)
    assert gateway.process.wait(10) == 0


def test_a_start_that_takes_long_can_be_ended(tmp_path, policies, endless):
    endless()
    process = subprocess.Popen(
        [binary(), "serve", "--listen", "127.0.0.1:0", "--admin", "off", "--policies", str(policies.folder), "--state",
         str(tmp_path / "state")], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    try:
        wait_for(lambda: seconds_worked(process.pid) > 0.5, "the start to read")
        process.send_signal(signal.SIGTERM)
        assert process.wait(3) == 0
    finally:
        process.kill()
        process.wait()


def lost(gateway):
    return int(re.search(r"^gateway_access_log_dropped_lines_total (\d+)", gateway.admin("/metrics")[1], re.M).group(1))


@pytest.mark.parametrize("place", ["full disk", "closed pipe", "closed"])
def test_lines_that_cannot_be_written_are_counted(tmp_path, policies, place):
    """Standard output ends or fails: the gateway continues and counts the lost lines."""
    log = tmp_path / "errors"
    gateway = Gateway(tmp_path / "state", policies.folder)
    command = [binary(), *map(str, gateway.command()), "--listen", "127.0.0.1:0", "--state", str(gateway.state)]
    redirection = {"full disk": ">/dev/full", "closed pipe": "| true", "closed": ">&-"}[place]
    script = f'"$@" 2>"$LOG" {redirection}' if place != "closed pipe" else '"$@" 2>"$LOG" | true'
    process = subprocess.Popen(["bash", "-c", ("exec " if place != "closed pipe" else "") + script, "bash", *command],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment(LOG=str(log)), start_new_session=True)
    try:
        text = wait_for(lambda: log.exists() and "curl" in (text := log.read_text()) and text, "the banner on standard error")
        gateway.port = int(re.search(r"https://[^:]+:(\d+)", text).group(1))
        gateway.admin_port = int(re.search(r"admin on http://[^:]+:(\d+)", text).group(1))
        gateway.token = re.search(r"cgw_[\w-]+", text).group(0)
        for _ in range(3):
            assert gateway.call("GET", STATE).status == 200
        wait_for(lambda: lost(gateway) >= 3, "three lost lines")
        assert gateway.call("GET", STATE).status == 200
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
