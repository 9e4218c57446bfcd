"""Malformed requests over TLS: each gets an error envelope, and its connection is closed (RFC 9112)."""

import pytest

from gateway import STATE
from raw import GET, head, post, refused
from wire import envelope

pytestmark = pytest.mark.wire

LINES = {
    "a bare LF after the request line": GET.replace("\r\n", "\n", 1) + "\r\n",
    "bare LFs everywhere": GET.replace("\r\n", "\n") + "\n",
    "a bare LF at the end of a header": GET + "X: y\nZ: a\r\n\r\n",
    "a bare LF as the empty line": GET + "X: y\r\n\n",
    "a bare CR in the request line": GET.replace(" HTTP", "\r HTTP") + "\r\n",
    "a bare CR in a value": GET + "X: a\rb\r\n\r\n",
    "a bare CR at the end of a header": GET + "X: y\rZ: a\r\n\r\n",
    "CR CR LF": GET + "X: y\r\r\n\r\n",
    "an obs-fold": GET + "X: a\r\n b\r\n\r\n",
    "an obs-fold with a tab": GET + "X: a\r\n\tb\r\n\r\n",
    "a fold before the first header": f"GET {STATE} HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "a space before the colon": GET + "X : y\r\n\r\n",
    "a tab before the colon": GET + "X\t: y\r\n\r\n",
    "a space before the colon of Content-Length": GET + "Content-Length : 0\r\n\r\n",
    "a line without a colon": GET + "X\r\n\r\n",
    "a header without a name": GET + ": y\r\n\r\n",
    "a name with a space": GET + "X Y: z\r\n\r\n",
    "a name with a slash": GET + "X/Y: z\r\n\r\n",
    "a name beyond ASCII": GET + "X\xe9: z\r\n\r\n",
    "NUL in a value": GET + "X: a\0b\r\n\r\n",
    "NUL in a name": GET + "X\0Y: a\r\n\r\n",
    "NUL in the target": GET.replace("/state", "/st\0ate") + "\r\n",
    "an escape in a value": GET + "X: a\x1bb\r\n\r\n",
    "DEL in a value": GET + "X: a\x7fb\r\n\r\n",
    "no Host": f"GET {STATE} HTTP/1.1\r\n\r\n",
    "two Hosts": GET + "Host: localhost\r\n\r\n",
    "two different Hosts": GET + "Host: other\r\n\r\n",
    "a Host with a space": GET.replace("localhost", "local host") + "\r\n",
    "a Host with a path": GET.replace("localhost", "localhost/x") + "\r\n",
    "a Host with user info": GET.replace("localhost", "a@localhost") + "\r\n",
    "a Host with a bad port": GET.replace("localhost", "localhost:x") + "\r\n",
    "a list of Hosts": GET.replace("localhost", "a, b") + "\r\n",
    "two spaces in the request line": GET.replace("GET ", "GET  ") + "\r\n",
    "a tab in the request line": GET.replace("GET ", "GET\t") + "\r\n",
    "a space after the version": GET.replace("HTTP/1.1", "HTTP/1.1 ") + "\r\n",
    "no target": GET.replace(STATE + " ", "") + "\r\n",
    "an empty target": GET.replace(STATE, "") + "\r\n",
    "a target without a slash": GET.replace(STATE, "v1") + "\r\n",
    "a fragment": GET.replace("/state", "/state#x") + "\r\n",
    "a target beyond ASCII": GET.replace("/state", "/st\xe4te") + "\r\n",
    "an asterisk with GET": GET.replace(STATE, "*") + "\r\n",
    "an absolute target without a host": GET.replace(STATE, "http:///x") + "\r\n",
    "a method with a colon": GET.replace("GET", "GE:T") + "\r\n",
    "an empty method": GET.replace("GET", "") + "\r\n",
    "a TLS record in TLS": "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + "\0" * 40 + "\r\n\r\n",
    "noise": "".join(chr(byte) for byte in range(256)) + "\r\n\r\n",
}


@pytest.mark.parametrize("name", LINES)
def test_malformed_heads(shared, name):
    refused(shared, LINES[name], 400)


@pytest.mark.parametrize("version, status", [
    ("HTTP/2.0", 505), ("HTTP/3.0", 505), ("HTTP/0.9", (400, 505)), ("HTTP/1.10", (400, 505)), ("HTTP/1", (400, 505)),
    ("HTTP/11", (400, 505)), ("http/1.1", (400, 505)), ("HTTP/1.1x", (400, 505)), ("HTTP/1,1", (400, 505)),
    ("HTTPS/1.1", (400, 505)), ("HTTP/ 1.1", 400), ("HTTP/+1.1", (400, 505)), ("HTTP/01.1", (400, 505)),
])
def test_versions(shared, version, status):
    refused(shared, GET.replace("HTTP/1.1", version) + "\r\n", status)


def test_http_0_9(shared):
    refused(shared, f"GET {STATE}\r\n\r\n", (400, 505))


@pytest.mark.parametrize("method, status", [
    ("BREW", 501), ("get", 501), ("Get", 501), ("PROPFIND", 501), ("M" * 200, (400, 501)), ("M" * 20000, (400, 414, 431, 501)),
    ("CONNECT", (400, 405, 501)), ("TRACE", (405, 501)), ("PRI", (400, 405, 501, 505))])
def test_methods(shared, method, status):
    with shared.wire() as wire:
        wire.send(head(shared, f"{method} {STATE} HTTP/1.1"))
        envelope(wire.final(), status)


def test_the_preface_of_http_2(shared):
    refused(shared, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505))


LENGTHS = {
    "length and chunked": ("Content-Length: 5", "Transfer-Encoding: chunked"),
    "chunked and length": ("Transfer-Encoding: chunked", "Content-Length: 5"),
    "two lengths that differ": ("Content-Length: 2", "Content-Length: 3"),
    "a list of lengths that differ": ("Content-Length: 2, 3",),
    "a negative length": ("Content-Length: -1",),
    "a length with a plus": ("Content-Length: +2",),
    "a hexadecimal length": ("Content-Length: 0x2",),
    "a length with an underscore": ("Content-Length: 1_0",),
    "a length with a letter": ("Content-Length: 2x",),
    "a length with a space": ("Content-Length: 1 0",),
    "a fractional length": ("Content-Length: 2.0",),
    "an empty length": ("Content-Length:",),
    "a length of 2^64": ("Content-Length: 18446744073709551616",),
    "a length of 2^64 + 2": ("Content-Length: 18446744073709551618",),
    "a length of 2^63": ("Content-Length: 9223372036854775808",),
    "an endless length": ("Content-Length: " + "9" * 500,),
    "an unknown coding": ("Transfer-Encoding: gzip",),
    "chunked not last": ("Transfer-Encoding: chunked, gzip",),
    "chunked twice": ("Transfer-Encoding: chunked, chunked",),
    "chunked in two headers": ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "another coding first": ("Transfer-Encoding: gzip, chunked",),
    "chunked with a letter": ("Transfer-Encoding: xchunked",),
    "chunked in quotes": ('Transfer-Encoding: "chunked"',),
    "chunked with a vertical tab": ("Transfer-Encoding: \x0bchunked",),
    "identity": ("Transfer-Encoding: identity",),
    "an empty coding": ("Transfer-Encoding:",),
    "chunked with a parameter": ("Transfer-Encoding: chunked;a=b",),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_malformed_framing(shared, name):
    # A length that is only too large may also be a 413, and an unknown coding a 501.
    status = (400, 413) if "2^6" in name or "endless" in name else (400, 501) if "coding" in name else 400
    refused(shared, post(shared, *LENGTHS[name]) + "0\r\n\r\n", status)


def test_identical_lengths_are_one_or_refused(shared):
    body = '{"streams":["nothing"]}'
    for fields in ((f"Content-Length: {len(body)}",) * 2, (f"Content-Length: {len(body)}, {len(body)}",)):
        with shared.wire() as wire:
            wire.send(post(shared, *fields) + body)
            answer = wire.final()
            envelope(answer, (400, 422))
            assert answer.status == 422 or answer.closes


CHUNKS = {
    "a letter as size": "g\r\n{}\r\n0\r\n\r\n",
    "a negative size": "-1\r\n{}\r\n0\r\n\r\n",
    "a size with a plus": "+2\r\n{}\r\n0\r\n\r\n",
    "a size with 0x": "0x2\r\n{}\r\n0\r\n\r\n",
    "a size with an underscore": "0_2\r\n{}\r\n0\r\n\r\n",
    "a space before the size": " 2\r\n{}\r\n0\r\n\r\n",
    "an empty size": "\r\n{}\r\n0\r\n\r\n",
    "a size of 2^64 + 2": "10000000000000002\r\n{}\r\n0\r\n\r\n",
    "a size of 2^63": "8000000000000000\r\n{}\r\n0\r\n\r\n",
    "an endless size": "0" * 200000 + "2\r\n{}\r\n0\r\n\r\n",
    "a bare LF after the size": "2\n{}\r\n0\r\n\r\n",
    "a bare CR after the size": "2\r{}\r\n0\r\n\r\n",
    "a bare LF after the data": "2\r\n{}\n0\r\n\r\n",
    "data longer than its size": "2\r\n{}x\r\n0\r\n\r\n",
    "no line end after the data": "2\r\n{}0\r\n\r\n",
    "a bare LF in an extension": "2;a\nb\r\n{}\r\n0\r\n\r\n",
    "a NUL in an extension": "2;a\0\r\n{}\r\n0\r\n\r\n",
    "an endless extension": "2;" + "a" * 200000 + "\r\n{}\r\n0\r\n\r\n",
    "a bare LF after the last chunk": "2\r\n{}\r\n0\n\n",
    "a malformed trailer": "2\r\n{}\r\n0\r\nX Y: z\r\n\r\n",
    "a folded trailer": "2\r\n{}\r\n0\r\nX: y\r\n z\r\n\r\n",
    "a bare LF in the trailers": "2\r\n{}\r\n0\r\nX: y\n\r\n",
    "endless trailers": "2\r\n{}\r\n0\r\n" + "X: y\r\n" * 50000 + "\r\n",
}


@pytest.mark.parametrize("name", CHUNKS)
def test_malformed_chunks(shared, name):
    status = (400, 413, 431) if "endless" in name else 400
    with shared.wire() as wire:
        try:
            wire.send(post(shared, "Transfer-Encoding: chunked") + CHUNKS[name])
        except OSError:
            assert "endless" in name
        answer = wire.final()
        envelope(answer, status)
        assert answer.closes
        wire.expect_close()
