"""Faults of the head: interim responses, sizes, and lines that are not HTTP. A good body follows each."""

from faulty import answer, fault, head

BODY = b'{"whole": true}'
LENGTH = f"Content-Length: {len(BODY)}"


@fault
def continue_unasked(link, request):
    """100 without an `Expect`, then a good response."""
    link.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    answer(link, request, BODY)


@fault
def early_hints(link, request):
    """One 103, then a good response."""
    link.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
    answer(link, request, BODY)


@fault
def sixteen_interims(link, request):
    """The maximum of allowed 102, then a good response."""
    link.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 16)
    answer(link, request, BODY)


@fault
def interim_storm(link, request):
    """A thousand 102, then a good response."""
    link.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)
    answer(link, request, BODY)


@fault
def continue_storm(link, request):
    """A thousand 100, which are not forwarded, then a good response."""
    link.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
    answer(link, request, BODY)


@fault
def switching_protocols(link, request):
    """101 without an `Upgrade`."""
    link.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi")


@fault
def interim_with_a_length(link, request):
    """A 103 that announces a body and has one, then a good response."""
    link.send(b"HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\nLEAK")
    answer(link, request, BODY)


@fault
def interim_then_hang(link, request):
    """A 102, and then nothing."""
    link.send(b"HTTP/1.1 102 Processing\r\n\r\n")
    link.hang()


@fault
def huge_head(link, request):
    """One field of one mebibyte."""
    link.send(head(request, "200 OK", "X-Huge: " + "x" * (1 << 20), LENGTH) + BODY)


@fault
def endless_line(link, request):
    """A status line of one mebibyte."""
    link.send(head(request, "200 " + "x" * (1 << 20), LENGTH) + BODY)


@fault
def too_many_fields(link, request):
    """Ten thousand fields."""
    link.send(head(request, "200 OK", *(f"X-{index}: y" for index in range(10_000)), LENGTH) + BODY)


@fault
def long_reason(link, request):
    """A reason phrase of 2,000 bytes, which is allowed."""
    link.send(head(request, "200 " + "Very Good " * 200, LENGTH) + BODY)


@fault
def no_reason(link, request):
    """A status line that ends after the status and its space, which is allowed."""
    link.send(head(request, "200 ", LENGTH) + BODY)


@fault
def garbage(link, request):
    """Bytes of every value instead of a response."""
    link.send(bytes(range(256)) * 4 + b"\r\n\r\n")
    link.linger()


@fault
def http_0_9(link, request):
    """A body without a head."""
    link.send(b"<html><body>hello</body></html>\r\n\r\n")
    link.close()


@fault
def http_2_preface(link, request):
    """A SETTINGS frame, as an HTTP/2 server begins."""
    link.send(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64")
    link.linger()


def register_lines(**lines):
    """Status lines, most of them invalid."""
    for name, line in lines.items():
        def play(link, request, line=line):
            good = head(request, "200 OK", LENGTH)
            link.send(line.encode("latin-1") + good[good.index(b"\r\n"):] + BODY)

        play.__name__, play.__doc__ = name, f"The status line {line[:30]!r}."
        fault(play)


register_lines(
    version_2_0="HTTP/2.0 200 OK",
    version_1_10="HTTP/1.10 200 OK",
    version_lower_case="http/1.1 200 OK",
    version_missing="200 OK",
    other_protocol="ICY 200 OK",
    status_99="HTTP/1.1 99 Low",
    status_099="HTTP/1.1 099 Low",
    status_000="HTTP/1.1 000 None",
    status_600="HTTP/1.1 600 High",
    status_abc="HTTP/1.1 abc Letters",
    status_2000="HTTP/1.1 2000 Long",
    status_negative="HTTP/1.1 -200 Negative",
    status_missing="HTTP/1.1",
    status_without_a_space_behind="HTTP/1.1 200",
    version_1_9="HTTP/1.9 200 OK",
    two_spaces_in_the_status_line="HTTP/1.1  200 OK",
    reason_with_a_nul="HTTP/1.1 200 O\0K",
    reason_with_a_bare_cr="HTTP/1.1 200 O\rK",
)


def register_fields(**cases):
    """Invalid field lines between valid ones."""
    for name, (what, lines) in cases.items():
        def play(link, request, lines=lines):
            link.send(head(request, "200 OK", LENGTH, lines) + BODY)

        play.__name__, play.__doc__ = name, what
        fault(play)


register_fields(
    bare_cr_in_a_value=("A bare CR in a value.", "X-A: a\rX-Leak: split"),
    bare_lf_in_a_value=("A bare LF in a value.", "X-A: a\nX-Leak: split"),
    nul_in_a_value=("NUL in a value.", "X-A: a\0b"),
    escape_in_a_value=("A control byte in a value.", "X-A: a\x1bb"),
    obs_fold=("A value continued on the next line.", "X-A: a\r\n b"),
    space_before_the_colon=("A space before the colon.", "X-A : a"),
    space_before_the_colon_of_the_coding=("A space before the colon of a framing field.", "Transfer-Encoding : chunked"),
    no_colon=("A line without a colon.", "X-A"),
    no_name=("A field without a name.", ": a"),
    space_in_a_name=("A space in a name.", "X A: a"),
    nul_in_a_name=("NUL in a name.", "X\0A: a"),
    colon_in_quotes=("A name with quotes.", '"X": a'),
    split_by_cr_cr_lf=("CR CR LF as a line end.", "X-A: a\r"),
    split_by_a_response_in_a_value=(
        "A whole response behind a bare LF.", "X-A: a\n\nHTTP/1.1 200 OK\nX-Leak: split\nContent-Length: 4\n\nLEAK"),
    split_lookalike=(
        "Bytes that truncate to CR LF in careless decoders: allowed, and to be passed as they are.",
        "X-A: a\xe5\x98\x8d\xe5\x98\x8aX-Leak: no"),
)


@fault
def fold_before_the_first_field(link, request):
    """White space before the first field."""
    link.send(head(request, "200 OK\r\n X-A: a", LENGTH) + BODY)


@fault
def bare_lf_everywhere(link, request):
    """Line ends without CR."""
    link.send(head(request, "200 OK", LENGTH).replace(b"\r\n", b"\n") + BODY)


@fault
def bare_lf_as_the_last_line(link, request):
    """An empty line without CR."""
    link.send(head(request, "200 OK", LENGTH)[:-2] + b"\n" + BODY)


@fault
def split_by_crlf(link, request):
    """The result of an injected CR LF CR LF: the head ends early, and the rest looks like a second response."""
    injected = b"HTTP/1.1 200 OK\r\nX-Leak: split\r\nContent-Length: 4\r\n\r\nLEAK"
    link.send(head(request, "200 OK", "Content-Length: 0", "X-A: a") + injected + BODY)


@fault
def empty_lines_before_the_head(link, request):
    """Two empty lines before the status line."""
    link.send(b"\r\n\r\n" + head(request, "200 OK", LENGTH) + BODY)
