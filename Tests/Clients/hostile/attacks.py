"""Attacks of a hostile neighbour, in a process of its own so that they take no time from the tests' interpreter.

usage: python attacks.py NAME PORT CA TOKEN

Prints `begun` once the attack is at full strength, and continues until its standard input closes.
"""

import itertools
import os
import resource
import select
import signal
import socket
import ssl
import struct
import sys
import time

ATTACKS = {}
BASE = "/v1/organizations/org_xyz789/knowledge/connectors"
THING = f"{BASE}/things"
JOBS = f"{BASE}/jobs"


def attack(function):
    ATTACKS[function.__name__.replace("_", "-")] = function
    return function


class Target:
    """The gateway, and the attacker's only token."""

    def __init__(self, port, ca, token):
        self.port, self.token = port, token
        self.context = ssl.create_default_context(cafile=ca)

    def plain(self, source="127.0.0.2"):
        return socket.create_connection(("127.0.0.1", self.port), timeout=5, source_address=(source, 0))

    def connect(self):
        return self.context.wrap_socket(self.plain(), server_hostname="localhost")

    def hello(self):
        """The first bytes of a handshake."""
        sent = ssl.MemoryBIO()
        session = self.context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return sent.read()

    def head(self, method, path, *fields):
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {self.token}", *fields]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"


def begun():
    print("begun", flush=True)


def over(seconds=0.0):
    """Whether the tests have ended the attack; waits up to that long for it."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(readable) and not os.read(0, 1)


def drain(wire):
    """Drops the received bytes. Returns whether the connection is open."""
    wire.setblocking(False)
    try:
        while wire.recv(1 << 16):
            pass
        return False
    except (ssl.SSLWantReadError, BlockingIOError):
        return True
    except OSError:
        return False
    finally:
        wire.settimeout(5)


def kept_up(count, open_one, keep, pause):
    """Keeps `count` connections open: opens a new one for each that the gateway closes."""
    wires = [None] * count
    for turn in itertools.count():
        for index, wire in enumerate(wires):
            try:
                if wire is None:
                    wires[index] = open_one()
                elif not keep(wire):
                    wire.close()
                    wires[index] = None
            except OSError:
                wires[index] = None
        if turn == 0:
            begun()
        if over(pause):
            return


@attack
def trickled_bodies(target):
    """80 reads with a chunked body that arrives byte by byte."""
    def open_one():
        wire = target.connect()
        wire.sendall(target.head("GET", THING, "Transfer-Encoding: chunked") + b"1\r\nx\r\n")
        return wire

    def keep(wire):
        wire.sendall(b"1\r\nx\r\n")
        return drain(wire)

    kept_up(80, open_one, keep, 0.5)


@attack
def announced_bodies(target):
    """Bodies that announce 256 MiB in total, and begin with one byte."""
    sizes = itertools.cycle([10 << 20] * 25 + [1 << 20] * 5 + [1 << 17] * 8)

    def open_one():
        wire = target.connect()
        wire.sendall(target.head("PATCH", f"{BASE}/connections/conn_abc123/state",
                                 "Content-Type: application/json", f"Content-Length: {next(sizes)}") + b"{")
        return wire

    def keep(wire):
        wire.sendall(b" " * 600)
        return drain(wire)

    kept_up(38, open_one, keep, 0.5)


@attack
def failures_of_its_own(target):
    """Requests to which the upstream responds with 503, for this organization only."""
    wires = [target.connect() for _ in range(40)]
    begun()
    while not over(0.005):
        for index, wire in enumerate(wires):
            try:
                wire.sendall(target.head("GET", f"{THING}?fault=503"))
                wire.recv(1 << 16)
            except OSError:
                wires[index] = target.connect()


def pipelined(target, message, connections=4):
    wires = [target.connect() for _ in range(connections)]
    begun()
    while not over():
        for index, wire in enumerate(wires):
            try:
                if not drain(wire):
                    raise OSError
                wire.setblocking(False)
                try:
                    wire.send(message)
                except (ssl.SSLWantWriteError, BlockingIOError):
                    pass
            except OSError:
                wires[index] = target.connect()


@attack
def pipelined_heads(target):
    """HEAD requests for a list of jobs, thousands at a time."""
    pipelined(target, target.head("HEAD", f"{JOBS}?limit=100") * 2000)


@attack
def pipelined_reads(target):
    """Reads of the list of jobs, thousands at a time, whose responses are read."""
    pipelined(target, target.head("GET", JOBS) * 2000)


@attack
def crowds_of_pipelines(target):
    """The same over so many connections that more than a thousand wait for their turn."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    pipelined(target, target.head("GET", JOBS) * 200, connections=1300)


@attack
def silent_connections(target):
    """Silent connections, more than the gateway may have open."""
    def open_one():
        wire = target.plain()
        wire.setblocking(False)
        return wire

    def keep(wire):
        try:
            return wire.recv(1) != b""
        except BlockingIOError:
            return True

    kept_up(150, open_one, keep, 0.1)


@attack
def wrong_tokens(target):
    """Requests with an unknown token."""
    target.token = "cgw_nobody"
    wires = [target.connect() for _ in range(2)]
    begun()
    while not over(0.001):
        for index, wire in enumerate(wires):
            try:
                wire.sendall(target.head("GET", JOBS) * 4)
                wire.recv(1 << 16)
            except OSError:
                wires[index] = target.connect()


@attack
def half_handshakes(target):
    """Handshakes that begin and never end."""
    first = target.hello()

    def open_one():
        wire = target.plain()
        wire.sendall(first)
        wire.setblocking(False)
        return wire

    kept_up(100, open_one, lambda wire: False, 0.05)


@attack
def bursts_of_handshakes(target):
    """Many handshakes at the same moment, repeated, from a few addresses."""
    first = target.hello()
    sources = itertools.cycle(f"127.0.1.{host}" for host in range(1, 11))
    is_told = False
    while not over():
        wires = []
        for _ in range(300):
            try:
                wires.append(target.plain(next(sources)))
            except OSError:
                continue
        for wire in wires:
            try:
                wire.send(first)
            except OSError:
                continue
        if not is_told:
            begun()
            is_told = True
        # No side keeps anything of it.
        for wire in wires:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.02)
        for wire in wires:
            wire.close()


def main():
    name, port, ca, token = sys.argv[1:]
    # Ends even if the tests do not end it.
    signal.alarm(120)
    ATTACKS[name](Target(int(port), ca, token))


if __name__ == "__main__":
    main()
