"""aitronos-sdk 0.8.178 from PyPI: its nine calls, its own exceptions, its own retries."""

import ssl

import httpx
import pytest
from aitronos import Aitronos
from aitronos.core.api_error import ApiError
from aitronos.errors import UnprocessableEntityError

from gateway import CONNECTION, ENDED, ORGANIZATION, ROOT, wait_for
from jobs_upstream import JobUpstream

pytestmark = pytest.mark.sdk
ONCE = {"max_retries": 0}


def connectors(gateway, monkeypatch=None, **options):
    """The SDK's connector client; it gets the gateway's authority in an httpx client or, as users do, in SSL_CERT_FILE."""
    options.setdefault("api_key", gateway.token)
    if monkeypatch is not None:
        monkeypatch.setenv("SSL_CERT_FILE", str(gateway.ca))
    else:
        options["httpx_client"] = httpx.Client(verify=ssl.create_default_context(cafile=gateway.ca), timeout=30)
    return Aitronos(base_url=gateway.url, **options).knowledge_connectors


def refused(status, code, call, **arguments):
    """Checks that a call fails with this status and code; returns the exception and its error."""
    with pytest.raises(ApiError) as caught:
        call(request_options=ONCE, **arguments)
    assert caught.value.status_code == status, caught.value
    error = caught.value.body["error"]
    assert caught.value.body["success"] is False and error["status"] == status and error["code"] == code, error
    return caught.value


def test_the_nine_operations(fresh, monkeypatch):
    client = connectors(fresh, monkeypatch)
    state = client.get_state(ORGANIZATION, CONNECTION)
    assert set(state) == {"state", "state_type"}

    job = client.trigger_job(ORGANIZATION, connection_id=CONNECTION, job_type="sync")
    assert job["connection_id"] == CONNECTION and job["job_type"] == "sync"
    assert client.get_job(ORGANIZATION, job["job_id"])["job_id"] == job["job_id"]
    listed = client.list_jobs(ORGANIZATION, connection_id=CONNECTION, job_type="sync", limit=5, offset=0,
                              order_by="createdAt|DESC", created_at_start="2024-01-01T00:00:00+02:00")
    assert listed["total"] == 1 and [one["job_id"] for one in listed["data"]] == [job["job_id"]]
    assert client.cancel_job(ORGANIZATION, job["job_id"]) is None
    wait_for(lambda: client.get_job(ORGANIZATION, job["job_id"])["status"] in ENDED, "the cancelled job ended")
    assert client.get_job(ORGANIZATION, job["job_id"])["status"] == "cancelled"

    wanted = {"users": {"cursor": "2024-06-15T10:30:00Z"}, "orders": {"cursor": "2024-06-15T09:00:00Z"}}
    updated = client.update_state(ORGANIZATION, CONNECTION, state=wanted, state_type="stream")
    assert updated == {"state": wanted, "state_type": "stream"}
    assert client.get_state(ORGANIZATION, CONNECTION) == updated

    assert client.refresh_connection(ORGANIZATION, CONNECTION, streams=["users", "orders"], remove_records=False) == {
        "status": "refreshing"}
    fresh.idle()
    assert client.clear_connection(ORGANIZATION, CONNECTION, streams=["users"])["status"]
    fresh.idle()


def test_a_job_runs_to_its_end_over_the_real_rows(fresh):
    client = connectors(fresh)
    job = client.trigger_job(ORGANIZATION, connection_id=CONNECTION, job_type="sync")
    done = wait_for(lambda: (one := client.get_job(ORGANIZATION, job["job_id"]))["status"] in ENDED and one,
                    "the sync ended", 60)
    assert done["status"] == "succeeded"
    assert done["rows_synced"] >= 1000 and done["bytes_synced"] > done["rows_synced"]
    assert done["duration"].startswith("PT") and done["start_time"].endswith("Z")
    assert set(client.get_state(ORGANIZATION, CONNECTION)["state"]) >= {"users", "orders"}


def test_token_beside_a_dummy_api_key(fresh):
    client = connectors(fresh, api_key="dummy", token=fresh.token)
    assert client.get_state(ORGANIZATION, CONNECTION)["state_type"]
    client = connectors(fresh, api_key="", token=lambda: fresh.token)
    assert client.get_state(ORGANIZATION, CONNECTION)["state_type"]


def test_401_403_404_are_api_errors_with_the_body(start, policies):
    reader = policies.token("reader", scopes=["connectors:read"])
    gateway = start(policies.generous())
    refused(401, "AUTHENTICATION_REQUIRED", connectors(gateway, api_key="").get_state,
            organization_id=ORGANIZATION, connection_id=CONNECTION)
    refused(401, "INVALID_API_KEY", connectors(gateway, api_key="cgw_wrong").get_state,
            organization_id=ORGANIZATION, connection_id=CONNECTION)
    client = connectors(gateway)
    refused(403, "ORGANIZATION_ACCESS_DENIED", client.get_state, organization_id="org_other", connection_id=CONNECTION)
    refused(403, "INSUFFICIENT_PERMISSIONS", connectors(gateway, api_key=reader).trigger_job,
            organization_id=ORGANIZATION, connection_id=CONNECTION, job_type="sync")
    refused(404, "CONNECTOR_CONNECTION_NOT_FOUND", client.get_state,
            organization_id=ORGANIZATION, connection_id="conn_absent")
    refused(404, "CONNECTOR_JOB_NOT_FOUND", client.get_job, organization_id=ORGANIZATION, job_id="job_absent")
    refused(404, "CONNECTOR_JOB_NOT_FOUND", client.cancel_job, organization_id=ORGANIZATION, job_id="job_absent")
    refused(404, "CONNECTOR_CONNECTION_NOT_FOUND", client.trigger_job,
            organization_id=ORGANIZATION, connection_id="conn_absent", job_type="sync")


def test_a_client_that_gives_up_finds_its_job_when_it_comes_back(front):
    """The client's time-out is shorter than the upstream needs. Three sends make one job, and the last one succeeds."""
    def with_resends(gateway):
        gateway.written.write("routes.json5", (ROOT / "policies/routes.json5").read_text())

    with JobUpstream() as upstream:
        gateway = front(upstream, prepare=with_resends, timeouts={"responseHead": "60s"})
        headers = {"X-Fault": "wait", "X-Job": "job_1", "X-Id": "sdk"}
        web = httpx.Client(verify=ssl.create_default_context(cafile=gateway.ca), timeout=1, headers=headers)
        client = Aitronos(base_url=gateway.url, api_key=gateway.token, httpx_client=web).knowledge_connectors
        for _ in range(2):
            with pytest.raises(httpx.TimeoutException):
                client.trigger_job(ORGANIZATION, connection_id=CONNECTION, job_type="sync")
        upstream.told.set()
        job = client.trigger_job(ORGANIZATION, connection_id=CONNECTION, job_type="sync")
        assert (job["job_id"], job["connection_id"], job["job_type"]) == ("job_1", CONNECTION, "sync")
        assert len(upstream.started()) == 1


def test_409_names_the_running_job(roomy):
    client = connectors(roomy)
    job = client.trigger_job(ORGANIZATION, connection_id=CONNECTION, job_type="sync")
    caught = refused(409, "CONNECTOR_JOB_ALREADY_RUNNING", client.trigger_job,
                     organization_id=ORGANIZATION, connection_id=CONNECTION, job_type="reset")
    assert caught.body["error"]["details"]["active_job"]["id"] == job["job_id"]
    assert int(caught.headers["retry-after"]) >= 1
    refused(409, "CONNECTOR_JOB_ALREADY_RUNNING", client.refresh_connection,
            organization_id=ORGANIZATION, connection_id=CONNECTION, streams=["users"])
    refused(409, "CONNECTOR_JOB_ALREADY_RUNNING", client.clear_connection,
            organization_id=ORGANIZATION, connection_id=CONNECTION, streams=["users"])
    refused(409, "CONNECTOR_STATE_LOCKED", client.update_state,
            organization_id=ORGANIZATION, connection_id=CONNECTION, state={})


def test_422_is_its_own_exception(roomy):
    client = connectors(roomy)
    for call, arguments in [
        (client.refresh_connection, {"connection_id": CONNECTION, "streams": ["nothing"]}),
        (client.clear_connection, {"connection_id": CONNECTION, "streams": ["users", "nothing"]}),
        (client.trigger_job, {"connection_id": CONNECTION, "job_type": "nonsense"}),
        (client.update_state, {"connection_id": CONNECTION, "state": {}, "state_type": "nonsense"}),
    ]:
        caught = refused(422, "VALIDATION_ERROR", call, organization_id=ORGANIZATION, **arguments)
        assert isinstance(caught, UnprocessableEntityError)
        assert caught.body["error"]["details"]


def test_429_and_the_sdk_waits_it_out_by_itself(fresh):
    """The SDK sends again after Retry-After: correct values let it succeed without the user noticing."""
    client = connectors(fresh)
    caught = None
    for _ in range(60):
        try:
            job = client.trigger_job(ORGANIZATION, connection_id=CONNECTION, job_type="sync", request_options=ONCE)
            client.cancel_job(ORGANIZATION, job["job_id"])
            fresh.idle()
        except ApiError as error:
            caught = error
            break
    assert caught is not None and caught.status_code == 429, caught
    assert caught.body["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert int(caught.headers["retry-after"]) >= 1
    job = client.trigger_job(ORGANIZATION, connection_id=CONNECTION, job_type="sync", request_options={"max_retries": 2})
    assert job["job_id"]
