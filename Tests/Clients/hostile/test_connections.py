"""Clients that open more connections than the limit, beside a client that only sends requests."""

import re
import socket
import ssl
import time

import pytest

from gateway import Gateway, JOBS, Policies, wait_for
from metrics import metrics, total


@pytest.fixture
def small(tmp_path):
    """Starts gateways with a low limit of connections."""
    gateways = []

    def start(open=None, within=(), **options):
        policies = Policies(tmp_path / "policies").generous()
        policies.settings(connections={"open": open} if open else {})
        gateway = Gateway(tmp_path / "state", policies.folder, workers=2, **options)
        gateway.within = list(within)
        gateways.append(gateway)
        return gateway.start()

    yield start
    for gateway in gateways:
        gateway.kill()


def silent(port, count, source):
    wires = []
    for _ in range(count):
        wires.append(socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(source, 0)))
    return wires


def close(wires):
    for wire in wires:
        wire.close()


def answers(gateway):
    try:
        return gateway.call("GET", JOBS).status == 200
    except OSError:
        return False


def test_open_is_over_all_workers_and_addresses(small):
    """Clients from many addresses fill every worker and every listen address."""
    gateway = small(50, listen="127.0.0.1:0,127.0.0.1:0")
    ports = set(map(int, re.findall(r"https://[^\s:/]+:(\d+)", gateway.output)))
    wires = []
    try:
        for last in range(2, 7):
            for port in ports:
                wires += silent(port, 15, f"127.0.0.{last}")
        wait_for(lambda: total(metrics(gateway), "gateway_connections_total{") >= 50, "as many as there may be")
        time.sleep(0.3)
        assert 40 <= total(metrics(gateway), "gateway_connections{") <= 50
        assert total(metrics(gateway), "gateway_connections_limit") == 50
    finally:
        close(wires)


def test_silent_connections_make_room(small):
    """Another address holds more silent connections than may be open."""
    gateway = small(50)
    wires = silent(gateway.port, 150, "127.0.0.2")
    kept = []
    try:
        # More at once than the silent connections left free at first.
        for _ in range(15):
            kept.append(gateway.wire())
            assert gateway.call("GET", JOBS, wire=kept[-1]).status == 200
        assert "connections are open, which is the limit" in gateway.output
        assert total(metrics(gateway), "gateway_connections_evicted_total{") > 0
    finally:
        for wire in kept:
            wire.close()
        close(wires)


def dribbling(gateway, source, kind):
    """A connection that begins a request or handshake and never ends it, and the bytes that make it look alive."""
    plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=5, source_address=(source, 0))
    context = ssl.create_default_context(cafile=gateway.ca)
    wire = context.wrap_socket(plain, server_hostname="localhost")
    if kind == "first heads":
        wire.sendall(b"GET / HT")
    if kind == "later heads":
        wire.sendall(b"GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT")
    if kind == "bodies":
        wire.sendall(b"POST /v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\nx")
    return wire


@pytest.mark.parametrize("addresses", [2, 6])
@pytest.mark.parametrize("kind", ["first heads", "later heads", "bodies"])
def test_slow_requests_make_room(small, kind, addresses):
    """Slow unauthenticated requests from several addresses use up all connections: another client is served."""
    gateway = small(40)
    wires = []
    try:
        for turn in range(60 // addresses):
            for last in range(addresses):
                try:
                    wires.append(dribbling(gateway, f"127.0.0.{last + 2}", kind))
                except OSError:
                    pass
        for number in range(10):
            assert answers(gateway), f"request {number}"
            for wire in wires:
                try:
                    wire.send(b"x")
                except OSError:
                    pass
        assert total(metrics(gateway), "gateway_connections{") >= 30
    finally:
        close(wires)


def test_descriptors_are_left_for_others(small):
    """More silent connections than the process may open files, with the default for `connections.open`."""
    gateway = small(within=["prlimit", "--nofile=300:300"])
    assert "Raise its limit of open files" in gateway.output
    wires = silent(gateway.port, 400, "127.0.0.2")
    try:
        assert answers(gateway)
        assert gateway.admin("/readyz")[0] == 200
    finally:
        close(wires)
