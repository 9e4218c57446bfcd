"""airweave-sdk from PyPI: run, list, jobs, cancel, and its own exceptions."""

import ssl

import httpx
import pytest
from airweave import AirweaveSDK
from airweave.core.api_error import ApiError
from airweave.errors import ConflictError, NotFoundError, TooManyRequestsError

from gateway import SOURCE_CONNECTION, wait_for

pytestmark = pytest.mark.sdk
ABSENT = "00000000-0000-4000-8000-000000000000"


def client(gateway, prefix="/v1", key=None):
    return AirweaveSDK(
        base_url=gateway.url + prefix, api_key=gateway.token if key is None else key,
        httpx_client=httpx.Client(verify=ssl.create_default_context(cafile=gateway.ca), timeout=30))


def check_envelope(caught, status, code):
    assert caught.value.status_code == status
    body = caught.value.body
    document = body if isinstance(body, dict) else body.model_dump()
    assert document["detail"]
    assert document["error"]["code"] == code and document["error"]["status"] == status


@pytest.mark.parametrize("prefix", ["/v1", ""])
def test_run_to_its_end(fresh, prefix):
    source = client(fresh, prefix).source_connections
    job = source.run(SOURCE_CONNECTION)
    assert job.source_connection_id == SOURCE_CONNECTION and job.status.lower() in {"pending", "running"}
    done = wait_for(
        lambda: next((one for one in source.get_source_connection_jobs(SOURCE_CONNECTION)
                      if one.id == job.id and one.status.lower() == "completed"), None), "the run completed", 60)
    assert done.entities_inserted >= 1 and done.completed_at >= done.started_at and done.duration_seconds >= 0


def test_a_full_run_after_an_incremental_one(fresh):
    source = client(fresh).source_connections
    first = source.run(SOURCE_CONNECTION)
    wait_for(lambda: source.get_source_connection_jobs(SOURCE_CONNECTION, limit=1)[0].status.lower() == "completed",
             "the first run completed", 60)
    second = source.run(SOURCE_CONNECTION, force_full_sync=True)
    assert second.id != first.id
    wait_for(lambda: source.get_source_connection_jobs(SOURCE_CONNECTION, limit=1)[0].status.lower() == "completed",
             "the second run completed", 60)
    assert [job.id for job in source.get_source_connection_jobs(SOURCE_CONNECTION)] == [second.id, first.id]


def test_list_and_get(fresh):
    source = client(fresh).source_connections
    assert SOURCE_CONNECTION in [str(one.id) for one in source.list()]
    assert str(source.get(SOURCE_CONNECTION).id) == SOURCE_CONNECTION


def test_cancel(fresh):
    source = client(fresh).source_connections
    job = source.run(SOURCE_CONNECTION)
    assert source.cancel_job(SOURCE_CONNECTION, job.id).status.lower() in {"cancelling", "cancelled"}
    wait_for(lambda: source.get_source_connection_jobs(SOURCE_CONNECTION)[0].status.lower() == "cancelled",
             "the job was cancelled")


def test_its_own_exceptions(start, policies):
    reader = policies.token("reader", scopes=["connectors:read"])
    gateway = start(policies.generous())
    source = client(gateway).source_connections
    with pytest.raises(NotFoundError) as caught:
        source.run(ABSENT)
    check_envelope(caught, 404, "CONNECTOR_CONNECTION_NOT_FOUND")
    source.run(SOURCE_CONNECTION)
    with pytest.raises(ConflictError) as caught:
        source.run(SOURCE_CONNECTION)
    check_envelope(caught, 409, "CONNECTOR_JOB_ALREADY_RUNNING")
    with pytest.raises(ApiError) as caught:
        client(gateway, key="").source_connections.run(SOURCE_CONNECTION)
    check_envelope(caught, 401, "AUTHENTICATION_REQUIRED")
    with pytest.raises(ApiError) as caught:
        client(gateway, key="cgw_wrong").source_connections.run(SOURCE_CONNECTION)
    check_envelope(caught, 401, "INVALID_API_KEY")
    with pytest.raises(ApiError) as caught:
        client(gateway, key=reader).source_connections.run(SOURCE_CONNECTION)
    check_envelope(caught, 403, "INSUFFICIENT_PERMISSIONS")


def test_too_many_requests(fresh):
    source = client(fresh).source_connections
    for _ in range(60):
        try:
            job = source.run(SOURCE_CONNECTION)
        except TooManyRequestsError as error:
            assert int(error.headers["retry-after"]) >= 1
            assert error.body.detail
            return
        source.cancel_job(SOURCE_CONNECTION, job.id)
        wait_for(lambda: source.get_source_connection_jobs(SOURCE_CONNECTION)[0].status.lower() == "cancelled",
                 "the job was cancelled")
    raise AssertionError("no 429 in 60 runs")
