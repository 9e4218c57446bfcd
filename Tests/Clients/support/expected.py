"""The expected result of each fault: one row per fault, read by the tests."""

from typing import NamedTuple

from wire import envelope

CODES = {
    400: "BAD_REQUEST", 401: "AUTHENTICATION_REQUIRED", 403: "ACCESS_DENIED", 404: "NOT_FOUND", 409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE", 422: "VALIDATION_ERROR", 429: "RATE_LIMIT_EXCEEDED", 502: "BAD_GATEWAY",
    503: "SERVICE_UNAVAILABLE", 504: "GATEWAY_TIMEOUT",
}


class Row(NamedTuple):
    """The response that the client gets, and the fate of the connection to the upstream."""

    status: int
    # In the envelope; None if the response is no error.
    code: str | None = None
    # `error` of Proxy-Status, or several that are right; "received" if it has the upstream's status.
    error: str | tuple | None = None
    # The body ends early, and the client can see that.
    cut: bool = False
    # The connection to the upstream carries no further request.
    drops: bool = True
    # How often a GET arrives over a reused connection. All other requests arrive once.
    tries: int = 1
    interims: tuple = ()
    message: str | None = None


def good(status=200, **more):
    return Row(status, **{"drops": False, **more})


def failed(error, status=502, **more):
    return Row(status, CODES[status], error, **more)


def error(status, code=None, **more):
    """The upstream's own error: its status in the gateway's envelope."""
    code = code or CODES.get(status) or ("REQUEST_FAILED" if status < 500 else "UPSTREAM_ERROR")
    return Row(status, code, **{"drops": False, "error": "received", **more})


CUT = Row(200, cut=True)
INVALID = failed("http_protocol_error")
DETAIL = "The thing is not there."


def rows(names, row):
    return dict.fromkeys(names.split(), row)


POINTS = {
    # The response did not come.
    "hang-before-head": failed("http_response_timeout", 504),
    "hang-mid-head": failed("http_response_timeout", 504),
    "endless-head": failed("http_response_timeout", 504),
    "interim-then-hang": failed("http_response_timeout", 504, interims=(102,)),
    # The connection ended before the response began. If no byte came over a reused connection, a GET is sent once more.
    "close-before-head": failed("connection_terminated", tries=2),
    "reset-before-head": failed("connection_terminated", tries=2),
    "close-mid-head": failed("connection_terminated"),
    "reset-mid-head": failed("connection_terminated"),
    # The client has the head already; the gateway can only end the connection.
    **rows("hang-after-head hang-mid-body hang-mid-chunk hang-before-last-chunk", CUT),
    **rows("close-after-head close-mid-body close-mid-chunk close-before-last-chunk", CUT),
    **rows("reset-after-head reset-mid-body reset-mid-chunk reset-before-last-chunk", CUT),
    **rows("no-length-then-reset", CUT),
    # Slow responses are no failures.
    **rows("slow-head slow-body slow-chunks", good()),
    # Bytes that belong to no request never reach the client, and end the connection.
    **rows("response-twice response-twice-chunked bytes-while-idle timeout-answer-while-idle", good(drops=True)),
    **rows("close-while-idle reset-while-idle close-announced close-announced-but-open", good(drops=True)),
}

HEADS = {
    "continue-unasked": good(),
    "early-hints": good(interims=(103,)),
    "sixteen-interims": good(interims=(102,) * 16),
    "interim-storm": failed("http_protocol_error", interims=(102,) * 16),
    "continue-storm": INVALID,
    "switching-protocols": failed("http_upgrade_failed"),
    "interim-with-a-length": INVALID,
    **rows("huge-head endless-line too-many-fields", failed("http_response_header_section_size")),
    # Unusual, but allowed.
    **rows("long-reason no-reason status-without-a-space-behind version-1-9 split-lookalike", good()),
    **rows("garbage http-0-9 http-2-preface version-2-0 version-1-10 version-lower-case version-missing", INVALID),
    **rows("other-protocol status-99 status-099 status-000 status-600 status-abc status-2000", INVALID),
    **rows("status-negative status-missing two-spaces-in-the-status-line reason-with-a-nul", INVALID),
    **rows("reason-with-a-bare-cr bare-cr-in-a-value bare-lf-in-a-value nul-in-a-value escape-in-a-value", INVALID),
    **rows("obs-fold space-before-the-colon space-before-the-colon-of-the-coding no-colon no-name", INVALID),
    **rows("space-in-a-name nul-in-a-name colon-in-quotes split-by-cr-cr-lf", INVALID),
    **rows("split-by-a-response-in-a-value fold-before-the-first-field bare-lf-everywhere", INVALID),
    **rows("bare-lf-as-the-last-line empty-lines-before-the-head", INVALID),
    "split-by-crlf": good(drops=True),
}

FRAMING = {
    **rows("length-and-coding coding-and-length two-lengths list-of-lengths negative-length length-with-a-plus", INVALID),
    **rows("hexadecimal-length empty-length length-with-a-letter length-of-2-to-the-63 length-of-2-to-the-64", INVALID),
    **rows("endless-length coding-gzip coding-gzip-chunked coding-chunked-gzip coding-chunked-twice", INVALID),
    **rows("coding-chunked-in-two-fields coding-identity coding-misspelt coding-empty coding-in-http-1-0", INVALID),
    **rows("chunk-size-of-letters chunk-size-negative chunk-size-with-0x chunk-size-empty", CUT),
    **rows("chunk-size-of-2-to-the-64 chunk-size-of-2-to-the-63 chunk-size-endless chunk-size-line-bare-lf", CUT),
    **rows("chunk-without-its-end chunk-longer-than-its-size chunk-extension-with-a-bare-lf", CUT),
    **rows("chunk-extension-flood trailer-flood trailer-malformed trailer-folded trailer-with-a-nul", CUT),
    **rows("trailers-good trailers-that-would-frame same-length-twice http-1-0-keep-alive", good()),
    **rows("body-longer-than-its-length body-longer-than-no-length", good(drops=True)),
    **rows("http-1-0-without-length no-length no-length-without-close-notify", good(drops=True)),
    "no-content-with-a-body": good(204, drops=True),
    **rows("no-content-with-a-length no-content-with-chunks", INVALID),
    "not-modified-with-a-body": good(304, drops=True),
    "body-for-head": good(),
}

BODIES = {
    "error-envelope": error(404, "CONNECTOR_JOB_NOT_FOUND", message="The requested job was not found."),
    "error-detail-text": error(404, message=DETAIL),
    "error-detail-list": error(422, message="body.streams: field required"),
    "error-detail-object": error(409, "THING_BUSY", message="The thing is busy."),
    "error-problem": error(403, message="Not enough credit."),
    "error-code-injected": error(400, message='a" X-Leak: split'),
    **rows("error-html error-502", error(502)),
    **rows("error-plain-text error-empty error-oversized error-oversized-chunked error-endless error-500", error(500)),
    **rows("error-html-called-json", error(503)),
    **rows("error-json-called-html error-cut-json error-chunked error-gzip-damaged error-hang", error(404)),
    **rows("error-truncated error-without-length error-bad-chunk error-longer-than-its-length", error(404)),
    **rows("error-json-list error-not-utf-8 error-with-a-nul error-twice-named error-deep", error(400)),
    "error-gzip": error(404, message=DETAIL),
    "error-401": error(401), # The credential for a proxy is the gateway's, not the client's.
    "error-407": failed("proxy_configuration_error", drops=False),
    "error-418": error(418), "error-429": error(429),
    "error-503": error(503), "error-504": error(504), "error-599": error(599), "error-reset": error(409),
}
# After these the upstream's connection is not at the start of a new response.
for _name in ("error-oversized error-oversized-chunked error-endless error-hang error-truncated error-without-length "
              "error-bad-chunk error-longer-than-its-length error-reset").split():
    BODIES[_name] = BODIES[_name]._replace(drops=True)

TABLE = {**POINTS, **HEADS, **FRAMING, **BODIES}

# Faults of the connection before there is a request; over TLS if the name says so.
ACCEPTED = {
    "refuse": failed("connection_refused"),
    "hang-before-accept": failed("connection_timeout", 504),
    "accept-then-close": failed("connection_terminated"),
    # It is chance whether the reset comes before the connection is established.
    "accept-then-reset": failed(("connection_terminated", "connection_refused")),
    "hang-after-accept": failed("http_response_timeout", 504),
    "banner": INVALID,
}
HANDSHAKES = {
    "hang-after-accept": failed("connection_timeout", 504),
    "plain-text-on-the-tls-port": failed("tls_protocol_error"),
    "noise-on-the-tls-port": failed("tls_protocol_error"),
    "close-in-the-handshake": failed("tls_protocol_error"),
    "reset-in-the-handshake": failed("tls_protocol_error"),
}
CERTIFICATES = {
    "expired": failed("tls_certificate_error"),
    "other": failed("tls_certificate_error"),
    "self-signed": failed("tls_certificate_error"),
}
# Requests whose body is not read: POST with a body of 4 MiB.
EARLY = {
    "early-413-then-close": error(413, drops=True),
    "early-413-then-reset": error(413, drops=True),
    "early-200": good(),
    "close-before-the-body-was-read": failed("connection_terminated"),
    "body-never-read": failed("http_response_timeout", 504),
    "read-slowly": good(),
}


def check_answer(outcome, row, identity):
    """Checks that the client got the response of the row, and no bytes of another response."""
    answer = outcome.answer
    assert answer.status == row.status, answer
    assert tuple(interim.status for interim in outcome.interims) == row.interims
    assert b"LEAK" not in answer.body and answer["x-leak"] is None, answer.raw_head
    assert outcome.cut == row.cut, "broken off" if outcome.cut else "ends as if it were whole"
    if row.code is None:
        assert answer["x-id"] == identity, "another request's answer"
        assert "error" not in outcome.proxy_status
        return
    error = envelope(answer, row.status, row.code)
    assert row.message in (None, error["message"])
    if row.error == "received":
        assert outcome.proxy_status == {"received-status": str(row.status)}, answer.raw_head
    else:
        errors = (row.error,) if isinstance(row.error, str) else row.error
        assert outcome.proxy_status in [{"error": error} for error in errors], answer.raw_head
    if row.status == 503:
        assert int(answer["retry-after"]) >= 1
