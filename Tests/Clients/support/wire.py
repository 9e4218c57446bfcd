"""A strict HTTP/1.1 client for raw bytes: it sends any bytes, and accepts only well-formed responses."""

import json
import re
import socket
import ssl
import time

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [\x20-\x7e]*\Z")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff\t]*?)[ \t]*\Z")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z")
TRACE_ID = re.compile(r"[0-9a-f]{32}\Z")


class Answer:
    """One response, read completely."""

    def __init__(self, status, fields, body, raw_head):
        self.status = status
        self.fields = fields
        self.body = body
        self.raw_head = raw_head
        self.trailers = []

    def all(self, name):
        return [value for key, value in self.fields if key == name.lower()]

    def __getitem__(self, name):
        values = self.all(name)
        assert len(values) <= 1, f"{name} comes {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def closes(self):
        return "close" in (self["connection"] or "").lower()

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


class Wire:
    """One connection to the gateway."""

    def __init__(self, port, ca=None, *, tls=True, context=None, name="localhost", session=None, deadline=15,
                 host="127.0.0.1"):
        self.deadline = deadline
        self.buffer = b""
        plain = socket.create_connection((host, port), timeout=deadline)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not tls:
            self.socket = plain
            return
        if context is None:
            context = ssl.create_default_context(cafile=str(ca) if ca else None)
        try:
            self.socket = context.wrap_socket(plain, server_hostname=name, session=session)
        except BaseException:
            plain.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def _more(self, until):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no answer in {self.deadline} s; so far {self.buffer[:400]!r}")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError) as error:
            raise EOFError(f"connection broken ({error}) after {self.buffer[:400]!r}") from error
        if not data:
            raise EOFError(f"connection closed after {self.buffer[:400]!r}")
        self.buffer += data

    def _take(self, count, until):
        while len(self.buffer) < count:
            self._more(until)
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def _line(self, until):
        while b"\r\n" not in self.buffer:
            self._more(until)
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def read(self, *, head=False, deadline=None):
        """The next final or interim response."""
        until = time.monotonic() + (deadline or self.deadline)
        start = self._line(until)
        match = STATUS_LINE.match(start)
        assert match, f"bad status line {start!r}"
        status = int(match.group(1))
        lines, fields = [], []
        while line := self._line(until):
            lines.append(line)
            match = FIELD.match(line)
            assert match, f"bad header line {line!r}"
            fields.append((match.group(1).decode().lower(), match.group(2).decode("latin-1")))
        answer = Answer(status, fields, b"", b"\r\n".join([start, *lines]))
        length, coding = answer["content-length"], answer["transfer-encoding"]
        assert not (length and coding), "both Content-Length and Transfer-Encoding"
        if status < 200 or status == 204:
            assert length is None and coding is None, f"{status} must not announce a body"
            return answer
        if head or status == 304:
            return answer
        if coding:
            assert coding.lower() == "chunked"
            while size := int(self._line(until).split(b";")[0], 16):
                answer.body += self._take(size, until)
                assert self._take(2, until) == b"\r\n"
            while line := self._line(until):
                answer.trailers.append(line)
        elif length is not None:
            answer.body = self._take(int(length), until)
        else:
            assert answer.closes, "a body without length must end with the connection"
            answer.body = self.rest(deadline)
        return answer

    def final(self, **options):
        """The next final response; interim ones are skipped."""
        while (answer := self.read(**options)).status < 200:
            pass
        return answer

    def rest(self, deadline=None):
        """All bytes until the other side closes."""
        until = time.monotonic() + (deadline or self.deadline)
        try:
            while True:
                self._more(until)
        except EOFError:
            rest, self.buffer = self.buffer, b""
            return rest

    def expect_close(self, deadline=None):
        rest = self.rest(deadline)
        assert rest == b"", f"bytes after the last response: {rest[:400]!r}"


def envelope(answer, status=None, code=None, *, airweave=False, traced=True):
    """Checks that `answer` is the documented error envelope, and returns its `error`.

    The gateway's responses are `traced`: a field has the trace id as well.
    """
    statuses = (status,) if isinstance(status, int) else status
    if statuses is not None:
        assert answer.status in statuses, f"expected {statuses}: {answer}"
    assert answer.body, f"an error without a body: {answer.raw_head!r}"
    assert (answer["content-type"] or "").split(";")[0].strip() == "application/json", answer.raw_head
    document = answer.json
    assert document["success"] is False
    error = document["error"]
    assert set(error) >= {"code", "message", "type", "status", "details", "trace_id", "timestamp"}, error
    assert error["status"] == answer.status
    assert error["type"] == ("client_error" if answer.status < 500 else "server_error"), error
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+", error["code"]), error
    assert error["message"] and isinstance(error["details"], dict), error
    assert TRACE_ID.match(error["trace_id"]) and TIMESTAMP.match(error["timestamp"]), error
    assert answer["x-trace-id"] == (error["trace_id"] if traced else None), answer.raw_head
    if airweave:
        assert document["detail"] == error["message"], document
    else:
        assert "detail" not in document, document
    if code is not None:
        codes = (code,) if isinstance(code, str) else code
        assert error["code"] in codes, f"expected {codes}: {error}"
    return error
