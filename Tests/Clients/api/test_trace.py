"""Every response can be found again: the trace id is in the response, the envelope and the log."""

import re

import pytest

from gateway import JOBS, RUN, STATE, wait_for
from wire import TRACE_ID, envelope

pytestmark = pytest.mark.access


def line_of(gateway, trace_id):
    return wait_for(
        lambda: next((line for line in gateway.log_lines() if trace_id in str(line)), None), f"a log line of {trace_id}", 5)


def test_one_id_everywhere(shared):
    for method, path, token in [("GET", STATE, ""), ("GET", JOBS + "/job_absent", ""), ("GET", STATE, None),
                                ("GET", "/nowhere", ""), ("POST", RUN, None), ("PUT", STATE, "")]:
        answer = shared.call(method, path, token=token)
        trace_id = answer["x-trace-id"]
        assert TRACE_ID.match(trace_id) and set(trace_id) != {"0"}
        if answer.status != 200:
            assert envelope(answer, airweave=path == RUN)["trace_id"] == trace_id
        line = line_of(shared, trace_id)
        assert answer.status in line.values(), line
        assert answer["x-policy-version"], answer.raw_head


def test_ids_differ(shared):
    ids = [shared.call("GET", STATE)["x-trace-id"] for _ in range(20)]
    assert len(set(ids)) == 20


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("value", [f"00-{TRACE}-00f067aa0ba902b7-01", f"00-{TRACE}-00f067aa0ba902b7-00",
                                   f"cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-brings"])
def test_a_valid_traceparent_is_adopted(shared, value):
    answer = shared.call("GET", STATE, headers={"traceparent": value, "tracestate": "a=b"})
    assert answer["x-trace-id"] == TRACE
    assert envelope(shared.call("GET", "/nowhere", headers={"traceparent": value}), 404)["trace_id"] == TRACE
    line_of(shared, TRACE)


@pytest.mark.parametrize("value", [
    f"ff-{TRACE}-00f067aa0ba902b7-01", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE.upper()}-00f067aa0ba902b7-01", f"00-{TRACE}-00f067aa0ba902b7", f"00-{TRACE}-00f067aa0ba902b7-01-x",
    f"00-{TRACE[:-1]}-00f067aa0ba902b7-01", f"0-{TRACE}-00f067aa0ba902b7-01", f"00_{TRACE}_00f067aa0ba902b7_01", "x", ""])
def test_an_invalid_traceparent_is_replaced(shared, value):
    trace_id = shared.call("GET", STATE, headers={"traceparent": value})["x-trace-id"]
    assert TRACE_ID.match(trace_id) and trace_id != TRACE


def test_the_log_line_tells_the_request(roomy):
    answer = roomy.trigger()
    text = str(line_of(roomy, answer["x-trace-id"]))
    for word in ("org_xyz789", "conn_abc123", "trigger", answer["x-policy-version"]):
        assert word in text, f"{word} is missing in {text}"
    answer = roomy.trigger()
    text = str(line_of(roomy, answer["x-trace-id"]))
    for word in ("CONNECTOR_JOB_ALREADY_RUNNING", "lease", "409"):
        assert word in text, f"{word} is missing in {text}"


def test_control_bytes_never_break_a_log_line(shared):
    answer = shared.call("GET", '/v1/"quoted"/{x}', headers={"User-Agent": 'a"b\\c\t\xe9'})
    assert answer.status in (400, 404)
    line_of(shared, answer["x-trace-id"])
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "".join(str(line) for line in shared.log_lines()))
