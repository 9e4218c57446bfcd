"""One request and its complete or broken response."""

import itertools
import re
import time

from wire import FIELD

_numbers = itertools.count(1)


def new_id():
    return f"id{next(_numbers)}"


class Outcome:
    """`answer` is the final response, with the received part of the body; `cut`: the body ended early."""

    def __init__(self, wire, method, on_head=lambda answer: None):
        self.interims, self.cut = [], False
        while (answer := wire.read(head=True)).status < 200:
            self.interims.append(answer)
        self.answer = answer
        has_body = method != "HEAD" and answer.status not in (204, 304)
        if has_body:
            check_framing(answer)
        on_head(answer)
        if not has_body:
            return
        try:
            self._read_body(wire, answer)
        except EOFError:
            self.cut = True

    def _read_body(self, wire, answer):
        until = time.monotonic() + wire.deadline
        if answer["transfer-encoding"]:
            while size := chunk_size(wire._line(until)):
                answer.body += wire._take(size, until)
                assert wire._take(2, until) == b"\r\n"
            answer.trailers = []
            while line := wire._line(until):
                assert FIELD.match(line), f"bad trailer {line!r}"
                answer.trailers.append(line)
        else:
            answer.body = wire._take(int(answer["content-length"]), until)

    @property
    def proxy_status(self):
        """`error` and `received-status` of the last member, which is the gateway's."""
        value = self.answer["proxy-status"]
        if value is None:
            return {}
        member = value.split(",")[-1]
        return dict(part.strip().split("=", 1) for part in member.split(";")[1:])


def check_framing(answer):
    """Checks that the response is framed in exactly one of the two ways."""
    coding, length = answer["transfer-encoding"], answer["content-length"]
    assert (coding is None) != (length is None), f"no framing, or twice: {answer.raw_head!r}"
    assert coding in (None, "chunked") and re.fullmatch(r"[0-9]{1,18}", "0" if length is None else length), answer.raw_head


def chunk_size(line):
    match = re.fullmatch(rb"([0-9a-fA-F]{1,8})(?:;[\x20-\x7e\t]{0,100})?", line)
    assert match, f"bad chunk size {line[:100]!r}"
    return int(match[1], 16)


def request(gateway, method, path, fields=(), body=None, token=None):
    """The bytes of one request; `fields` are lines."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{gateway.port}", f"Authorization: Bearer {token or gateway.token}"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *fields]).encode("latin-1") + b"\r\n\r\n" + (body or b"")
