"""Two-step requests: bad input gets a clear error, erases nothing, and costs nothing."""

import re
import threading

import pytest

from gateway import CLEAR, REFRESH
from wire import envelope

FIELD = "X-Gateway-Confirmation"
BODY = {"streams": ["users"]}


@pytest.fixture
def careful(start, policies):
    """A gateway whose clears and removals must be confirmed."""
    text = policies.without_resends().read("routes.json5")
    text = text.replace('lease: "clear",', 'lease: "clear", confirm: "two-step",')
    text = text.replace(
        'lease: "refresh",', 'lease: "refresh", confirm: { when: { remove_records: true, removeRecords: true } },')
    policies.write("routes.json5", text)
    return start(policies)


def offer(answer):
    error = envelope(answer, 409, "CONFIRMATION_REQUIRED")
    confirmation = error["details"]["confirmation"]
    assert confirmation["field"] == FIELD and 0 < confirmation["expires_in"] <= 300
    assert re.fullmatch(r"[0-9a-f]{80}", confirmation["token"])
    return confirmation["token"]


def refused(answer, reason):
    error = envelope(answer, 400, "CONFIRMATION_INVALID")
    assert error["details"]["reason"] == reason, error


def test_a_confirmed_request_passes_once(careful):
    token = offer(careful.call("POST", CLEAR, BODY))
    assert careful.call("POST", CLEAR, BODY, headers=[(FIELD, token)]).status == 200
    careful.idle()
    refused(careful.call("POST", CLEAR, BODY, headers=[(FIELD, token)]), "used")


@pytest.mark.parametrize("text", ["", "0", "null", "f" * 79, "f" * 81, "g" * 80, "%00" * 26, "f" * 7000, "a,b"])
def test_a_malformed_confirmation_erases_nothing(careful, text):
    refused(careful.call("POST", CLEAR, BODY, headers=[(FIELD, text)]), "malformed")
    assert not careful.running()


def test_a_confirmation_counts_for_one_request_only(careful):
    token = offer(careful.call("POST", CLEAR, BODY))
    with_token = [(FIELD, token)]
    refused(careful.call("POST", CLEAR, {"streams": ["users", "orders"]}, headers=with_token), "another_request")
    refused(careful.call("POST", CLEAR, {"streams": []}, headers=with_token), "another_request")
    refused(careful.call("POST", CLEAR + "?x=1", BODY, headers=with_token), "another_request")
    refused(careful.call("POST", REFRESH, {**BODY, "remove_records": True}, headers=with_token), "another_request")
    assert not careful.running()
    assert careful.call("POST", CLEAR, BODY, headers=with_token).status == 200


def test_a_confirmation_does_not_survive_a_restart(careful, start, tmp_path):
    token = offer(careful.call("POST", CLEAR, BODY))
    careful.stop()
    careful.start()
    refused(careful.call("POST", CLEAR, BODY, headers=[(FIELD, token)]), "another_gateway")


def test_of_parallel_requests_with_one_confirmation_one_passes(careful):
    token = offer(careful.call("POST", CLEAR, BODY))
    gate, answers = threading.Barrier(6), []

    def one():
        with careful.wire() as wire:
            gate.wait(30)
            answers.append(careful.call("POST", CLEAR, BODY, headers=[(FIELD, token)], wire=wire).status)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(200) == 1 and set(answers) <= {200, 400, 409}, answers


def test_only_what_removes_records_must_be_confirmed(careful):
    error = envelope(careful.call("POST", REFRESH, {**BODY, "removeRecords": True}), 409, "CONFIRMATION_REQUIRED")
    assert error["details"]["remove_records"] is True
    envelope(careful.call("POST", REFRESH, {**BODY, "Remove_Records": True}), 422, "VALIDATION_ERROR")
    envelope(careful.call("POST", REFRESH + "?remove_records=1", BODY), 422, "VALIDATION_ERROR")
    assert careful.call("POST", REFRESH, {**BODY, "remove_records": False}).status == 200
