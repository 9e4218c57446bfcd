"""The parts of a benchmark around the servers: processes with CPU accounting, the load generator, statistics."""

import ctypes
import fcntl
import json
import os
import socket
import ssl
import statistics
import struct
import subprocess
import time

SERVER_CPU, CLIENT_CPU = 0, 1
# Precedes every pinned command; `run --undisturbed` puts real-time priority here.
PRIORITY = []


class BenchError(Exception):
    """The run cannot continue; the text says why."""


CONGESTION_CONTROL = "/proc/sys/net/ipv4/tcp_congestion_control"
ALLOWED_CONGESTION_CONTROLS = "/proc/sys/net/ipv4/tcp_allowed_congestion_control"
# The default. Where a namespace may not choose the first, the second is the nearest: neither paces by timers.
USUAL_CONGESTION_CONTROLS = ["cubic", "reno"]


def enter_own_network(congestion_control=None):
    """Gives this process and its children a network of their own: a loopback that no other process uses, with that congestion
    control, or else the first of the usual ones that is permitted. Returns a description of the network.

    A machine may pace its connections by timers (bbr): their interrupts are charged to the running process, a server that sends
    in pieces pays for more of them, and their number changes from run to run. See NOTES.md.
    """
    new_network, set_flags, up = 0x40000000, 0x8914, 0x41
    if ctypes.CDLL(None, use_errno=True).unshare(new_network) != 0:
        return f"the machine's network ({os.strerror(ctypes.get_errno())}), congestion control {read(CONGESTION_CONTROL).strip()}"
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up))
    refused = []
    for name in [congestion_control] if congestion_control else USUAL_CONGESTION_CONTROLS:
        try:
            with open(CONGESTION_CONTROL, "w") as setting:
                setting.write(name)
            break
        except OSError as error:
            refused.append(f"{name} is not to be had: {os.strerror(error.errno)}")
    allowed = f"allowed are {', '.join(read(ALLOWED_CONGESTION_CONTROLS).split())}"
    if congestion_control and refused:
        raise BenchError(f"congestion control {refused[0]}; {allowed}")
    return (f"a network of its own, congestion control {read(CONGESTION_CONTROL).strip()}"
            + (f" ({'; '.join(refused)}; {allowed})" if refused else ""))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pin(cpu):
    """Pins the calling process; its children inherit that."""
    return ["taskset", "-c", str(cpu)] + PRIORITY


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def family(pid):
    """The process and its descendants."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in read(f"/proc/{pid}/task/{task}/children").split():
                found += family(int(child))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


class Server:
    """One server in its own process group, pinned to a CPU; by default that of the servers under test."""

    def __init__(self, name, command, port, log, environment=None, cwd=None, cpu=SERVER_CPU):
        self.name, self.port, self.log = name, port, log
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            pin(cpu) + command, stdin=subprocess.DEVNULL, stdout=open(log, "w"), stderr=subprocess.STDOUT,
            env=environment, cwd=cwd, process_group=0)

    def wait_ready(self, request, timeout=15):
        """Milliseconds from the start of the process to its first good response over TLS."""
        while True:
            try:
                status, _, _ = ask(self.port, request, timeout)
                if status == 200:
                    return (time.monotonic() - self.started) * 1000
                reason = f"answers {status}"
            except OSError as error:
                reason = str(error)
            if self.process.poll() is not None or time.monotonic() - self.started > timeout:
                raise BenchError(f"{self.name} does not serve: {reason}\n{read(self.log)[-2000:]}")
            time.sleep(0.0005)

    def cpu(self):
        """CPU seconds of all its threads and children, as the scheduler counted them, in nanosecond steps."""
        total = 0
        for pid in family(self.process.pid):
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    total += int(read(f"/proc/{pid}/task/{task}/schedstat").split()[0])
            except (FileNotFoundError, ProcessLookupError):
                pass
        return total / 1e9

    def ticks(self):
        """utime + stime of /proc/PID/stat in seconds: coarser, an independent check of `cpu`."""
        total = 0
        for pid in family(self.process.pid):
            try:
                fields = read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
                total += int(fields[11]) + int(fields[12])
            except (FileNotFoundError, ProcessLookupError):
                pass
        return total / os.sysconf("SC_CLK_TCK")

    def settled_cpu(self):
        """CPU seconds once the server has finished its work."""
        before, deadline = self.cpu(), time.monotonic() + 2
        while time.monotonic() < deadline:
            time.sleep(0.03)
            after = self.cpu()
            if after - before < 0.0005:
                return after
            before = after
        return before

    def memory(self):
        """KiB: (proportional set size, resident set size) of the whole family."""
        pss = rss = 0
        for pid in family(self.process.pid):
            for line in read(f"/proc/{pid}/smaps_rollup").splitlines()[1:]:
                name, value = line.split(":")
                pss += int(value.split()[0]) if name == "Pss" else 0
                rss += int(value.split()[0]) if name == "Rss" else 0
        return pss, rss

    def ask(self, request):
        """One request over TLS, for checks: (status, [(name, value)], body)."""
        try:
            return ask(self.port, request)
        except OSError as error:
            raise BenchError(f"{self.name} does not answer: {error}; exit code {self.process.poll()}\n{read(self.log)[-2000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, 9)  # its own group: no other process is in it
        except ProcessLookupError:
            pass
        self.process.wait()


def ask(port, request, timeout=2):
    """One request over TLS, for checks, not for measuring: (status, [(name, value)], body)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(request)
            data = b""
            while b"\r\n\r\n" not in data:
                more = connection.recv(65536)
                if not more:
                    raise OSError("closed before the end of the head")
                data += more
            head, body = data.split(b"\r\n\r\n", 1)
            lines = head.decode("ascii").split("\r\n")
            headers = [tuple(line.split(": ", 1)) if ": " in line else (line, "") for line in lines[1:]]
            length = int(next((v for k, v in headers if k.lower() == "content-length"), 0))
            while len(body) < length:
                more = connection.recv(65536)
                if not more:
                    raise OSError("closed before the end of the body")
                body += more
            return int(lines[0].split()[1]), headers, body


class Load:
    """The load generator, pinned to the other CPU; `ready` after its warm-up."""

    def __init__(self, binary, port, request_file, *options):
        command = pin(CLIENT_CPU) + [binary, "--port", str(port), "--request", request_file] + [str(o) for o in options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.expect("ready")

    def expect(self, text=None):
        line = self.process.stdout.readline()
        if not line or (text and line.strip() != text):
            message = self.process.stderr.read()
            self.process.kill()
            self.process.wait()
            raise BenchError(f"load generator: {message.strip() or line}")
        return line

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.expect())

    def finish(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Series:
    """Samples of one quantity for one server."""

    def __init__(self):
        self.values = []

    def add(self, value):
        self.values.append(value)

    @property
    def median(self):
        return statistics.median(self.values) if self.values else float("nan")

    def text(self, digits=2):
        if not self.values:
            return "-"
        if len(self.values) == 1:
            return f"{self.median:.{digits}f}"
        return f"{self.median:.{digits}f} ({min(self.values):.{digits}f}-{max(self.values):.{digits}f})"
