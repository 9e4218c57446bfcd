"""An upstream with the fault that its client asks for; it records the received requests.

The request field `X-Fault` names the fault (`catalogue.py` imports them all); without it the response is a good one.
Faults before a request are set per connection: `upstream.accept`. `X-Id` comes back in every response.
"""

import itertools
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse

FAULTS = {}
ACCEPT_FAULTS = {}
# Faults that begin after the head, with the body still unread.
EARLY = set()
RESET = struct.pack("ii", 1, 0)


def named(function):
    return function.__name__.replace("_", "-")


def fault(function):
    """Registers a fault of a request: `function(link, request)`. If it returns, the connection continues."""
    assert function.__doc__ and named(function) not in FAULTS
    FAULTS[named(function)] = function
    return function


def early_fault(function):
    EARLY.add(named(function))
    return fault(function)


def accept_fault(function):
    """Registers a fault of a new connection: `function(link)`."""
    assert function.__doc__ and named(function) not in ACCEPT_FAULTS
    ACCEPT_FAULTS[named(function)] = function
    return function


class Over(Exception):
    """The connection has ended."""


class Request:
    """One request as received."""

    def __init__(self, raw_head):
        self.raw_head = raw_head
        start, *lines = raw_head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = (start.split(" ") + ["", ""])[:3]
        self.fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines if line)]
        self.raw_body = b""
        self.body = b""
        self.complete = False
        self.at = time.monotonic()
        self.played = threading.Event()

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def __getitem__(self, name):
        values = self.all(name)
        return values[0] if values else None

    @property
    def id(self):
        return self["x-id"]

    @property
    def fault(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.target).query)
        return self["x-fault"] or query.get("fault", ["well"])[0]

    def __repr__(self):
        return f"<{self.method} {self.target} id={self.id} fault={self.fault} complete={self.complete}>"


class Link:
    """One accepted connection, and all bytes that it received."""

    def __init__(self, upstream, number, accepted):
        self.upstream, self.number, self.socket = upstream, number, accepted
        self.raw = bytearray()
        self.unread = b""
        self.requests = []
        # How the other side ended it: "FIN", "RST"; "ours" if this side did, None while it is open.
        self.end = None
        self.over = threading.Event()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            self._ended("RST" if isinstance(error, ConnectionResetError) else "FIN")

    def close(self, *, notify=True):
        """Ends the connection in good order; over TLS with close_notify, except with `notify=False`."""
        try:
            if notify and isinstance(self.socket, ssl.SSLSocket):
                self.socket.settimeout(1)
                self.socket.unwrap()
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self._ended("ours")

    def reset(self):
        """Ends the connection with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._ended("ours")

    def linger(self):
        """Closes this side and reads until the other side has closed, so that no RST overtakes the response."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.hang()

    def hang(self):
        """Waits for the end of the connection; received bytes are only recorded."""
        while True:
            self.fill()

    def until_relayed(self, request):
        """Waits until the tester has the head of the response: from then on no other status can be sent."""
        self.upstream.wait_until_relayed(request.id)

    def fill(self):
        try:
            data = self.socket.recv(1 << 16)
        except (ConnectionResetError, BrokenPipeError):
            self._ended("RST")
        except OSError:
            self._ended("FIN")
        if not data:
            self._ended("FIN")
        self.raw += data
        self.unread += data

    def _ended(self, how):
        if self.end is None:
            self.end = how
        raise Over

    def take(self, count):
        while len(self.unread) < count:
            self.fill()
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def take_line(self):
        while b"\r\n" not in self.unread:
            self.fill()
        line, self.unread = self.unread.split(b"\r\n", 1)
        return line + b"\r\n"

    def read_head(self):
        while b"\r\n\r\n" not in self.unread:
            self.fill()
        head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        request = Request(head)
        self.requests.append(request)
        return request

    def read_body(self, request):
        if (request["expect"] or "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request["transfer-encoding"]:
            size = None
            while size != 0:
                line = self.take_line()
                size = int(line.split(b";")[0], 16)
                data = self.take(size + 2) if size else b""
                request.body += data[:-2]
                request.raw_body += line + data
            while (line := self.take_line()) != b"\r\n":
                request.raw_body += line
        else:
            request.body = request.raw_body = self.take(int(request["content-length"] or 0))
        request.complete = True


class Upstream:
    """The listener and its connections. `paced`: the tester signals with `relayed` which heads have arrived."""

    def __init__(self, context=None, *, accept=None, paced=False, backlog=512, host="127.0.0.1", port=0):
        self.context, self.accept, self.paced = context, accept, paced
        self.links = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._relayed = {}
        self._over = False
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.port = self.listener.getsockname()[1]
        self.listener.listen(backlog)
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._over = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.disconnect()

    def disconnect(self):
        """Closes every connection, as a restart would."""
        with self._lock:
            links = [link for link in self.links if not link.over.is_set()]
        for link in links:
            try:
                link.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for link in links:
            link.over.wait(5)

    def received(self, identity=None):
        """All requests so far, or those with this id."""
        with self._lock:
            return [request for link in self.links for request in link.requests
                    if identity is None or request.id == identity]

    def link_of(self, identity):
        """The connection of the last request with this id."""
        with self._lock:
            found = [link for link in self.links if any(request.id == identity for request in link.requests)]
        return found[-1] if found else None

    @property
    def open_links(self):
        with self._lock:
            return [link for link in self.links if not link.over.is_set()]

    def forget(self):
        """Drops the records of ended connections."""
        with self._lock:
            self.links = [link for link in self.links if not link.over.is_set()]

    def _event(self, identity):
        with self._lock:
            return self._relayed.setdefault(identity, threading.Event())

    def relayed(self, identity):
        if self.paced:
            self._event(identity).set()

    def wait_until_relayed(self, identity):
        if self.paced and identity:
            self._event(identity).wait(3)

    def _listen(self):
        while not self._over:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            link = Link(self, next(self._numbers), accepted)
            with self._lock:
                self.links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def play(self, link, request):
        """Responds to a request whose body has been read, except for early faults."""
        FAULTS[request.fault](link, request)

    def _serve(self, link):
        try:
            link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.accept:
                ACCEPT_FAULTS[self.accept](link)
            if self.context:
                try:
                    link.socket = self.context.wrap_socket(link.socket, server_side=True)
                except (OSError, ssl.SSLError):
                    link._ended("FIN")
            while True:
                request = link.read_head()
                try:
                    if request.fault not in EARLY:
                        link.read_body(request)
                    self.play(link, request)
                finally:
                    request.played.set()
        except Over:
            pass
        finally:
            link.socket.close()
            link.over.set()


class Refusing:
    """A port without a listener, reserved so that no other process can listen."""

    def __init__(self):
        self.keeper = socket.socket()
        self.keeper.bind(("127.0.0.1", 0))
        self.port = self.keeper.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.accept = "refuse"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.keeper.close()

    def received(self, _=None):
        return []


class Deaf(Refusing):
    """A listener that accepts no connection and whose queue is full: a SYN is dropped."""

    def __init__(self):
        super().__init__()
        self.accept = "hang-before-accept"
        self.keeper.listen(0)
        self.crowd = []
        # The queue takes one more than its length; the kernel never completes further connections.
        for _ in range(3):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))
            self.crowd.append(one)

    def __exit__(self, *_):
        for one in self.crowd:
            one.close()
        super().__exit__()


def head(request, status="200 OK", *fields, version="HTTP/1.1", content_type="application/json"):
    """The head of a response, with the id of the request."""
    lines = [f"{version} {status}", "Date: Sun, 06 Nov 1994 08:49:37 GMT"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    if request.id:
        lines.append(f"X-Id: {request.id}")
    return "\r\n".join([*lines, *fields]).encode("latin-1") + b"\r\n\r\n"


def answer(link, request, body=b"{}", status="200 OK", *fields, **options):
    """A whole response with its length; without the body for HEAD."""
    data = head(request, status, *fields, f"Content-Length: {len(body)}", **options)
    link.send(data + (b"" if request.method == "HEAD" else body))


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def number(request, name, default=0):
    """A numeric query parameter."""
    match = re.search(rf"[?&]{name}=(\d+)", request.target)
    return int(match.group(1)) if match else default
