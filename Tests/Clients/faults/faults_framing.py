"""Framing faults: lengths, codings, chunks, and bodies where none may be."""

from faulty import chunk, fault, head

BODY = b'{"whole": true}'
CHUNKED = "Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"
LEAK = b"HTTP/1.1 200 OK\r\nX-Leak: surplus\r\nContent-Length: 4\r\n\r\nLEAK"


def register_framing(**cases):
    """Framing fields that contradict each other or are invalid, before a body that is complete as it is."""
    for name, (fields, *rest) in cases.items():
        data, version = (rest + [BODY, "HTTP/1.1"][len(rest):])[:2]

        def play(link, request, fields=fields, data=data, version=version):
            link.send(head(request, "200 OK", *fields, version=version) + data)
            link.linger()

        play.__name__, play.__doc__ = name, f"Framed by {'; '.join(fields)[:80]}."
        fault(play)


CHUNKS = chunk(BODY) + LAST
register_framing(
    length_and_coding=([f"Content-Length: {len(CHUNKS)}", CHUNKED], CHUNKS),
    coding_and_length=([CHUNKED, "Content-Length: 3"], CHUNKS),
    two_lengths=(["Content-Length: 15", "Content-Length: 16"],),
    list_of_lengths=(["Content-Length: 15, 16"],),
    negative_length=(["Content-Length: -1"],),
    length_with_a_plus=(["Content-Length: +15"],),
    hexadecimal_length=(["Content-Length: 0xf"],),
    empty_length=(["Content-Length: "],),
    length_with_a_letter=(["Content-Length: 15x"],),
    length_of_2_to_the_63=(["Content-Length: 9223372036854775808"],),
    length_of_2_to_the_64=(["Content-Length: 18446744073709551631"],),
    endless_length=(["Content-Length: " + "9" * 200],),
    coding_gzip=(["Transfer-Encoding: gzip"],),
    coding_gzip_chunked=(["Transfer-Encoding: gzip, chunked"], CHUNKS),
    coding_chunked_gzip=(["Transfer-Encoding: chunked, gzip"], CHUNKS),
    coding_chunked_twice=(["Transfer-Encoding: chunked, chunked"], CHUNKS),
    coding_chunked_in_two_fields=([CHUNKED, CHUNKED], CHUNKS),
    coding_identity=(["Transfer-Encoding: identity"],),
    coding_misspelt=(["Transfer-Encoding: xchunked"], CHUNKS),
    coding_empty=(["Transfer-Encoding: "],),
    coding_in_http_1_0=([CHUNKED], CHUNKS, "HTTP/1.0"),
)


def register_chunks(**cases):
    """Chunked bodies that are damaged after a good first chunk, when the client has the head already."""
    for name, (what, data) in cases.items():
        def play(link, request, data=data):
            link.send(head(request, "200 OK", CHUNKED) + chunk(BODY))
            link.until_relayed(request)
            link.send(data)
            link.linger()

        play.__name__, play.__doc__ = name, what
        fault(play)


register_chunks(
    chunk_size_of_letters=("A chunk size that is no number.", b"xyz\r\nabc\r\n" + LAST),
    chunk_size_negative=("A negative chunk size.", b"-3\r\nabc\r\n" + LAST),
    chunk_size_with_0x=("A chunk size with 0x.", b"0x3\r\nabc\r\n" + LAST),
    chunk_size_empty=("An empty chunk size.", b"\r\nabc\r\n" + LAST),
    chunk_size_of_2_to_the_64=("A chunk size that overflows.", b"10000000000000003\r\nabc\r\n" + LAST),
    chunk_size_of_2_to_the_63=("A chunk size that is negative in some languages.", b"8000000000000003\r\nabc\r\n" + LAST),
    chunk_size_endless=("A chunk size of 100,000 digits.", b"0" * 100_000 + b"3\r\nabc\r\n" + LAST),
    chunk_size_line_bare_lf=("A chunk size that ends with a bare LF.", b"3\nabc\r\n" + LAST),
    chunk_without_its_end=("No CR LF behind the data of a chunk.", b"3\r\nabc" + LAST),
    chunk_longer_than_its_size=("A chunk with more data than its size says.", b"3\r\nabcdef\r\n" + LAST),
    chunk_extension_with_a_bare_lf=("A bare LF in a chunk extension.", b"3;a\nb\r\nabc\r\n" + LAST),
    chunk_extension_flood=("A chunk extension of a mebibyte.", b"3;" + b"x" * (1 << 20) + b"\r\nabc\r\n" + LAST),
    trailer_flood=("A mebibyte of trailers.", b"0\r\n" + b"X-A: a\r\n" * 131_072 + b"\r\n"),
    trailer_malformed=("A trailer without a colon.", b"0\r\nX-A\r\n\r\n"),
    trailer_folded=("A folded trailer.", b"0\r\nX-A: a\r\n b\r\n\r\n"),
    trailer_with_a_nul=("NUL in a trailer.", b"0\r\nX-A: a\0b\r\n\r\n"),
)


@fault
def trailers_good(link, request):
    """Valid chunks with extensions, and valid trailers."""
    link.send(head(request, "200 OK", CHUNKED, "Trailer: X-Checksum") + b"f;a=b\r\n" + BODY + b"\r\n"
              + b"0\r\nX-Checksum: 42\r\n\r\n")


@fault
def trailers_that_would_frame(link, request):
    """Valid chunks with trailers that must not become header fields (RFC 9110, section 6.5.1)."""
    link.send(head(request, "200 OK", CHUNKED) + chunk(BODY)
              + b"0\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nX-Leak: trailer\r\nConnection: close\r\n\r\n")


@fault
def body_longer_than_its_length(link, request):
    """More bytes than the length announces; they look like a second response."""
    link.send(head(request, "200 OK", f"Content-Length: {len(BODY)}") + BODY + LEAK)


@fault
def body_longer_than_no_length(link, request):
    """A length of 0 with a body."""
    link.send(head(request, "200 OK", "Content-Length: 0") + LEAK)


@fault
def http_1_0_without_length(link, request):
    """HTTP/1.0: the end of the connection, in good order, ends the body."""
    link.send(head(request, "200 OK", version="HTTP/1.0") + (b"" if request.method == "HEAD" else BODY))
    link.close()


@fault
def no_length(link, request):
    """HTTP/1.1 without framing fields: the end of the connection, in good order, ends the body."""
    link.send(head(request) + BODY)
    link.close()


@fault
def no_length_then_reset(link, request):
    """A body that the end of the connection should end, but a reset does."""
    link.send(head(request) + BODY)
    link.until_relayed(request)
    link.reset()


@fault
def no_length_without_close_notify(link, request):
    """A body that the end of the connection ends; over TLS without authentication, so it may be truncated."""
    link.send(head(request) + BODY)
    link.until_relayed(request)
    link.close(notify=False)


@fault
def http_1_0_keep_alive(link, request):
    """HTTP/1.0 with a length and `Connection: keep-alive`."""
    link.send(head(request, "200 OK", "Connection: keep-alive", f"Content-Length: {len(BODY)}", version="HTTP/1.0") + BODY)


@fault
def same_length_twice(link, request):
    """The same length twice, as some servers send it (RFC 9112, section 6.3)."""
    length = f"Content-Length: {len(BODY)}"
    link.send(head(request, "200 OK", length, length) + BODY)


@fault
def no_content_with_a_body(link, request):
    """204 followed by bytes, which would be the next response."""
    link.send(head(request, "204 No Content", content_type=None) + LEAK)


@fault
def no_content_with_a_length(link, request):
    """204 with a length and a body of that length."""
    link.send(head(request, "204 No Content", f"Content-Length: {len(LEAK)}", content_type=None) + LEAK)


@fault
def no_content_with_chunks(link, request):
    """204 with chunks."""
    link.send(head(request, "204 No Content", CHUNKED, content_type=None) + chunk(LEAK) + LAST)


@fault
def not_modified_with_a_body(link, request):
    """304 followed by the body whose length it announces."""
    link.send(head(request, "304 Not Modified", 'ETag: "1"', f"Content-Length: {len(LEAK)}") + LEAK)


@fault
def body_for_head(link, request):
    """A response with a body for every method: HEAD must have none."""
    link.send(head(request, "200 OK", f"Content-Length: {len(BODY)}") + BODY)
