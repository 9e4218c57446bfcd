"""Randomly damaged requests: whatever the bytes, the responses are well-formed and the connection closes cleanly."""

import random
import socket
import ssl

import pytest

from gateway import CLEAR, CONNECTION, JOBS, REFRESH, RUN, STATE
from raw import head, post
from wire import envelope

pytestmark = pytest.mark.wire
CASES = 60
BODY = '{"streams":["nothing"],"remove_records":false}'
PIECES = [b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"\t", b"HTTP/1.1", b"Content-Length: 3\r\n", b"%2e%2e/", b"//", b"\xff",
          b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n", b"Expect: 100-continue\r\n", b"0\r\n\r\n", b'"', b"{", b"}", b"\\u0000"]


def requests(gateway):
    chunked = f"{len(BODY):x};a=b\r\n{BODY}\r\n0\r\nX: y\r\n\r\n"
    trigger = f'{{"connection_id":"{CONNECTION}","job_type":"nonsense"}}'
    return [
        head(gateway), head(gateway, f"GET {JOBS}?limit=3&order_by=createdAt%7CDESC HTTP/1.1"),
        post(gateway, f"Content-Length: {len(BODY)}") + BODY, post(gateway, "Transfer-Encoding: chunked") + chunked,
        post(gateway, f"Content-Length: {len(BODY)}", path=CLEAR) + BODY,
        post(gateway, f"Content-Length: {len(trigger)}", path=JOBS) + trigger,
        head(gateway, f"GET {RUN} HTTP/1.1"), head(gateway, f"DELETE {JOBS}/job_absent HTTP/1.1"),
        post(gateway, f"Content-Length: {len(BODY)}", "Expect: 100-continue") + BODY, head(gateway, f"OPTIONS {REFRESH} HTTP/1.1"),
    ]


def spoiled(data, chance):
    data = bytearray(data.encode("latin-1"))
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0 and at < len(data):
            data[at] = chance.randrange(256)
        elif kind == 1:
            data[at:at] = chance.choice(PIECES)
        elif kind == 2:
            del data[at:at + chance.choice([1, 1, 2, 10, 100])]
        elif kind == 3:
            data[at:at] = data[at:at + chance.randrange(1, 60)]
        else:
            del data[at:]
    return bytes(data)


def expect_well_formed(gateway, data):
    with gateway.wire(deadline=30) as wire:
        wire.send(data)
        # A truncated request must not wait for more bytes.
        socket.socket.shutdown(wire.socket, socket.SHUT_WR)
        answers = 0
        while True:
            try:
                answer = wire.read()
            except (EOFError, ssl.SSLError):
                assert wire.buffer == b"", f"half an answer: {wire.buffer!r}"
                return answers
            if answer.status >= 400:
                envelope(answer, airweave=answer.body.startswith(b"{") and b'"detail":' in answer.body)
            elif answer.status >= 200 and answer.status != 204:
                assert answer["content-type"].startswith("application/json") or answer.body == b""
            answers += answer.status >= 200


@pytest.mark.parametrize("number", range(10))
def test_spoiled_requests(shared, number):
    base, seed = requests(shared)[number], random.SystemRandom().randrange(1 << 30)
    chance, answered = random.Random(seed), 0
    for _ in range(CASES):
        data = spoiled(base, chance)
        try:
            # HEAD has no body to parse.
            if b"HEAD" not in data:
                answered += expect_well_formed(shared, data) > 0
        except BaseException:
            print(f"seed {seed}: {data!r}")
            raise
    assert answered > CASES / 3
    assert shared.process.poll() is None


def test_two_requests_one_of_them_spoiled(shared):
    """The request before a damaged one gets its response."""
    chance = random.Random(random.SystemRandom().randrange(1 << 30))
    all_of_them = requests(shared)
    for _ in range(CASES):
        first, second = chance.choice(all_of_them), chance.choice(all_of_them)
        if "Expect" not in first:
            assert expect_well_formed(shared, first.encode("latin-1") + spoiled(second, chance)) >= 1
    assert shared.call("GET", STATE).status == 200
