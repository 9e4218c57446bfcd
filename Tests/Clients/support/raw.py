"""Requests as raw text, valid unless a test changes them."""

from gateway import REFRESH, STATE
from wire import envelope

GET = f"GET {STATE} HTTP/1.1\r\nHost: localhost\r\n"


def head(gateway, line=f"GET {STATE} HTTP/1.1", *fields, host="Host: localhost"):
    lines = [line, *([host] if host else []), f"Authorization: Bearer {gateway.token}", *fields]
    return "\r\n".join(lines) + "\r\n\r\n"


def post(gateway, *fields, path=REFRESH):
    """The head of an authorized POST whose body is the subject of the test."""
    return head(gateway, f"POST {path} HTTP/1.1", "Content-Type: application/json", *fields)


def refused(gateway, data, status, code=None):
    """Sends `data` and expects an error with this status, and the end of the connection."""
    with gateway.wire() as wire:
        wire.send(data)
        answer = wire.final(head=(data if isinstance(data, str) else data.decode("latin-1")).startswith("HEAD "))
        assert answer.closes, f"framing is in doubt, but the connection stays: {answer.raw_head!r}"
        error = envelope(answer, status, code)
        wire.expect_close()
    return error


def served(gateway, data, status=200):
    with gateway.wire() as wire:
        wire.send(data)
        answer = wire.final()
        assert answer.status == status, answer
    return answer
