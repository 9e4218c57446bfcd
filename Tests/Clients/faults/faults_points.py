"""Faults in time: the upstream hangs, closes or resets at each point of an exchange, or is slow, early or unasked."""

import time

from faulty import accept_fault, answer, chunk, early_fault, fault, head

BODY = b'{"whole": true, "filler": "' + b"x" * 100 + b'"}'


@accept_fault
def accept_then_close(link):
    """Closes a connection right after accepting it."""
    link.close(notify=False)


@accept_fault
def accept_then_reset(link):
    """Resets a connection right after accepting it."""
    link.reset()


@accept_fault
def hang_after_accept(link):
    """Accepts, and sends nothing: neither TLS nor HTTP."""
    link.hang()


@accept_fault
def banner(link):
    """Sends bytes first, in another protocol."""
    link.send(b"220 mail.example.com ESMTP\r\n")
    link.hang()


@accept_fault
def plain_text_on_the_tls_port(link):
    """Speaks HTTP where TLS is expected."""
    link.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    link.linger()


@accept_fault
def noise_on_the_tls_port(link):
    """Sends an invalid TLS record."""
    link.send(b"\x16\x03\x03\x00\x10" + b"\xff" * 16)
    link.linger()


@accept_fault
def close_in_the_handshake(link):
    """Reads the ClientHello and closes."""
    link.fill()
    link.close(notify=False)


@accept_fault
def reset_in_the_handshake(link):
    """Reads the ClientHello and resets the connection."""
    link.fill()
    link.reset()


def before_head(link, request):
    """before the head"""


def mid_head(link, request):
    """in the middle of the head"""
    link.send(head(request)[:40])


def after_head(link, request):
    """after the head"""
    link.send(head(request, "200 OK", f"Content-Length: {len(BODY)}"))
    link.until_relayed(request)


def mid_body(link, request):
    """in the middle of a body with a length"""
    link.send(head(request, "200 OK", f"Content-Length: {len(BODY)}") + BODY[:60])
    link.until_relayed(request)


def mid_chunk(link, request):
    """in the middle of a chunk"""
    link.send(head(request, "200 OK", "Transfer-Encoding: chunked") + chunk(BODY)[:60])
    link.until_relayed(request)


def before_last_chunk(link, request):
    """when only the last chunk is missing"""
    link.send(head(request, "200 OK", "Transfer-Encoding: chunked") + chunk(BODY))
    link.until_relayed(request)


def register(verb, what, end):
    for point in (before_head, mid_head, after_head, mid_body, mid_chunk, before_last_chunk):
        def play(link, request, point=point):
            point(link, request)
            end(link)

        play.__name__ = f"{verb}_{point.__name__}"
        play.__doc__ = f"{what} {point.__doc__}."
        fault(play)


register("hang", "Goes silent", lambda link: link.hang())
register("close", "Closes", lambda link: link.close())
register("reset", "Resets the connection", lambda link: link.reset())


@fault
def slow_head(link, request):
    """A good response whose head is sent byte by byte."""
    for byte in head(request, "200 OK", f"Content-Length: {len(BODY)}"):
        link.send(bytes([byte]))
        time.sleep(0.0005)
    link.send(BODY)


@fault
def slow_body(link, request):
    """A good response whose body is sent byte by byte."""
    link.send(head(request, "200 OK", f"Content-Length: {len(BODY)}"))
    for byte in BODY:
        link.send(bytes([byte]))
        time.sleep(0.0005)


@fault
def slow_chunks(link, request):
    """A good response in chunks of one byte, sent byte by byte."""
    data = head(request, "200 OK", "Transfer-Encoding: chunked")
    link.send(data)
    for byte in b"".join(chunk(BODY[at:at + 1]) for at in range(len(BODY))) + b"0\r\n\r\n":
        link.send(bytes([byte]))
        time.sleep(0.0001)


@fault
def endless_head(link, request):
    """A head that never pauses for long and never ends."""
    link.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    link.socket.settimeout(0.02)
    while True:
        link.send(b"x")
        try:
            if not link.socket.recv(1):
                link._ended("FIN")
        except TimeoutError:
            pass
        except OSError:
            link._ended("RST")


@fault
def response_twice(link, request):
    """A good response, followed at once by a second one for no request."""
    second = head(request, "200 OK", "X-Leak: second", "Content-Length: 4") + b"LEAK"
    link.send(head(request, "200 OK", f"Content-Length: {len(BODY)}") + BODY + second)


@fault
def response_twice_chunked(link, request):
    """A good chunked response, followed at once by a second one for no request."""
    second = head(request, "200 OK", "X-Leak: second", "Content-Length: 4") + b"LEAK"
    link.send(head(request, "200 OK", "Transfer-Encoding: chunked") + chunk(BODY) + b"0\r\n\r\n" + second)


@fault
def bytes_while_idle(link, request):
    """A good response and, when the client has it, a second one for no request."""
    answer(link, request, BODY)
    link.until_relayed(request)
    link.send(head(request, "200 OK", "X-Leak: idle", "Content-Length: 4") + b"LEAK")


@fault
def timeout_answer_while_idle(link, request):
    """A good response, then the 408 that some servers send on an idle connection before they close it."""
    answer(link, request, BODY)
    link.until_relayed(request)
    link.send(b"HTTP/1.1 408 Request Timeout\r\nX-Leak: idle\r\nContent-Length: 4\r\nConnection: close\r\n\r\nLEAK")
    link.close()


@fault
def close_while_idle(link, request):
    """A good response that promises to keep the connection; then the connection is closed."""
    answer(link, request, BODY)
    link.until_relayed(request)
    link.close()


@fault
def reset_while_idle(link, request):
    """A good response that promises to keep the connection; then the connection is reset."""
    answer(link, request, BODY)
    link.until_relayed(request)
    link.reset()


@fault
def close_announced(link, request):
    """A good response with `Connection: close`, and the close."""
    link.send(head(request, "200 OK", "Connection: close", f"Content-Length: {len(BODY)}") + BODY)
    link.close()


@fault
def close_announced_but_open(link, request):
    """A good response with `Connection: close`; then the connection stays open."""
    link.send(head(request, "200 OK", "Connection: close", f"Content-Length: {len(BODY)}") + BODY)


@early_fault
def early_413_then_close(link, request):
    """Refuses the request before its body is read, and closes after the other side has closed."""
    body = b'{"detail": "too large"}'
    link.send(head(request, "413 Content Too Large", "Connection: close", f"Content-Length: {len(body)}") + body)
    link.linger()


@early_fault
def early_413_then_reset(link, request):
    """Refuses the request before its body is read, and resets the connection once the client has the refusal."""
    body = b'{"detail": "too large"}'
    link.send(head(request, "413 Content Too Large", "Connection: close", f"Content-Length: {len(body)}") + body)
    link.until_relayed(request)
    link.reset()


@early_fault
def early_200(link, request):
    """Responds before the body is read, then reads it; the connection continues."""
    answer(link, request, BODY)
    link.read_body(request)


@early_fault
def close_before_the_body_was_read(link, request):
    """Closes with an unread body and without a response: an RST follows further bytes of the other side."""
    link.close()


@early_fault
def body_never_read(link, request):
    """Reads only the head: a long body gets stuck."""
    link.until_relayed(request)
    link.reset()


@early_fault
def read_slowly(link, request):
    """Reads a long body in small pieces, then sends a good response."""
    size = int(request["content-length"] or 0)
    while len(request.body) < size:
        request.body += link.take(min(4096, size - len(request.body)))
        time.sleep(0.00005)
    request.complete = True
    answer(link, request, b'{"length": %d}' % len(request.body))
