"""The documents' own examples, pasted as a reader would paste them."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import CONNECTION, ROOT, RUN, SOURCE_CONNECTION, binary, environment, free_port

pytestmark = pytest.mark.snippets
SNIPPETS = Path(__file__).with_name("snippets")
# Shows the last response of the pasted script without changing the script.
SHOW_REQUESTS = """
import requests as _r
_send = _r.Session.send
def send(self, request, **options):
    answer = _send(self, request, **options)
    print("ANSWER", answer.status_code, answer.text)
    return answer
_r.Session.send = send
"""
SHOW_FETCH = """
const plain = globalThis.fetch;
globalThis.fetch = async (...all) => {
  const answer = await plain(...all);
  console.log("ANSWER", answer.status, await answer.clone().text());
  return answer;
};
"""


def filled_in(gateway, name):
    text = (SNIPPETS / name).read_text()
    text = re.sub(r"https://api\.(aitronos\.com|airweave\.ai|example\.com)", gateway.url, text)
    text = text.replace("{id}", SOURCE_CONNECTION) if name.startswith("run") else text
    return text.replace("YOUR_ACCESS_TOKEN", gateway.token).replace("YOUR_API_KEY", gateway.token)


def execute(command, **variables):
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        env={**environment(), **variables})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def as_a_group(script, **variables):
    """The output of a script that starts processes; all of them end with it."""
    process = subprocess.Popen(
        ["bash", "-e", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=ROOT, env={**environment(), **variables}, start_new_session=True)
    try:
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, output + errors
        return output
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def by_curl(gateway, name, *more):
    script = filled_in(gateway, name).rstrip() + " ".join(
        ["", "--cacert", str(gateway.ca), "-sS", "-w", r"'\n%{http_code}'", *more])
    body, status = execute(["bash", "-c", script], ACCESS_TOKEN=gateway.token).rsplit("\n", 1)
    return int(status), json.loads(body)


def shown(output):
    line = next(line for line in output.splitlines() if line.startswith("ANSWER "))
    _, status, body = line.split(" ", 2)
    return int(status), json.loads(body)


def by_requests(gateway, name):
    script = SHOW_REQUESTS + filled_in(gateway, name)
    return shown(execute([sys.executable, "-c", script], REQUESTS_CA_BUNDLE=str(gateway.ca)))


def by_fetch(gateway, name, tmp_path):
    script = tmp_path / name
    script.write_text(SHOW_FETCH + filled_in(gateway, name))
    return shown(execute(["node", str(script)], NODE_EXTRA_CA_CERTS=str(gateway.ca)))


@pytest.fixture(params=["curl", "requests", "fetch"])
def paste(request, tmp_path):
    """Pastes a named example, in one of the three languages."""
    if request.param == "curl":
        return lambda gateway, name: by_curl(gateway, name + ".sh")
    if request.param == "requests":
        return lambda gateway, name: by_requests(gateway, name + ".py")
    return lambda gateway, name: by_fetch(gateway, name + ".mjs", tmp_path)


def check_job(job):
    assert set(job) >= {"job_id", "status", "job_type", "connection_id"}, job
    assert all(isinstance(job[key], str) and job[key] for key in ("job_id", "status", "job_type", "connection_id"))


def test_the_printed_curl_line_works_when_pasted(fresh):
    lines = fresh.output.replace("\\\n", " ").splitlines()
    line = next(match.group(0) for line in lines if (match := re.search(r"\bcurl .*Bearer cgw_.*", line)))
    done = subprocess.run(
        ["bash", "-c", line + " -sS -w '\\n%{http_code}'"], capture_output=True, text=True, timeout=30,
        cwd=fresh.state.parent, env=environment(), stdin=subprocess.DEVNULL)
    body, status = done.stdout.rsplit("\n", 1)
    assert int(status) == 200, done
    json.loads(body)


def test_the_line_of_a_later_start_works_with_the_token_in_its_variable(start, policies):
    """The token is shown once: from the second start on, the shown command takes it from TOKEN."""
    first = start(policies)
    assert first.stop() == 0
    again = start(policies, state=first.state)
    line = next(match.group(0) for line in again.output.splitlines() if (match := re.search(r"^curl .*", line)))
    done = subprocess.run(
        ["bash", "-c", line + " -sS -o /dev/null -w '%{http_code}'"], capture_output=True, text=True, timeout=30,
        env=environment(TOKEN=first.token), stdin=subprocess.DEVNULL)
    assert done.stdout == "200", (line, done)
    assert "TOKEN" in again.output.split("curl ")[0] and "demo-token.json5" in again.output


def test_the_two_processes_of_the_article(tmp_path):
    """The article's commands, except for the ports and the path of the binary."""
    article = ROOT / "Sources/Gateway/Documentation.docc/RemoteUpstream.md"
    section = article.read_text().split("\n## In two processes\n")[1]
    script = section.split("```sh\n")[1].split("```")[0]
    (keeper, front), (other, back) = free_port(), free_port()
    keeper.close()
    other.close()
    for here, there in ((".build/release/gateway", binary()), (":8443", f":{front}"), (":8445", f":{back}")):
        assert here in script
        script = script.replace(here, there)
    lines = as_a_group(script, GATEWAY_LISTEN=f"127.0.0.1:{front}", GATEWAY_ADMIN="off", TMPDIR=str(tmp_path)).splitlines()
    statuses = [number for number, line in enumerate(lines) if line in ("200", "409")]
    assert [lines[number] for number in statuses] == ["200", "200", "409"]
    started, again, refused = (json.loads(lines[number - 1]) for number in statuses)
    check_job(started)
    assert again["job_id"] == started["job_id"]
    assert refused["error"]["code"] == "CONNECTOR_JOB_ALREADY_RUNNING"
    assert refused["error"]["details"]["active_job"]["id"] == started["job_id"]
    assert list(tmp_path.iterdir()) == []


def test_get_state(fresh, paste):
    status, state = paste(fresh, "state")
    assert status == 200
    assert set(state) == {"state", "state_type"} and isinstance(state["state"], dict)


def test_list_jobs(fresh, paste):
    first = fresh.trigger()
    assert 200 <= first.status < 300, first
    status, jobs = paste(fresh, "jobs")
    assert status == 200 and jobs["total"] == 1 and len(jobs["data"]) == 1
    check_job(jobs["data"][0])
    assert jobs["data"][0]["job_id"] == first.json["job_id"]
    assert jobs["data"][0]["connection_id"] == CONNECTION


def test_refresh_then_clear(fresh, paste):
    assert paste(fresh, "refresh") == (200, {"status": "refreshing"})
    assert paste(fresh, "clear")[0] == 409, "a clear while the refresh runs"
    fresh.idle()
    status, answer = paste(fresh, "clear")
    assert status == 200 and isinstance(answer["status"], str)
    fresh.idle()
    assert [job["job_type"] for job in fresh.jobs("?order_by=createdAt%7CASC")["data"]] == ["refresh", "clear"]


def test_run_of_a_source_connection(fresh):
    status, job = by_curl(fresh, "run.sh")
    assert status == 200
    assert set(job) >= {
        "id", "source_connection_id", "status", "started_at", "completed_at", "duration_seconds",
        "entities_inserted", "entities_updated", "entities_deleted", "entities_failed", "error"}
    assert job["source_connection_id"] == SOURCE_CONNECTION
    assert job["status"].upper() in {"PENDING", "RUNNING"}
    status, again = by_curl(fresh, "run.sh")
    assert status == 200 and again["id"] == job["id"], "the same request again shows its own job"


def test_run_with_curls_long_options(fresh):
    """The page's other form shows no credential: it works with one, and gets a 401 without."""
    status, error = by_curl(fresh, "run-long-options.sh")
    assert status == 401 and error["error"]["code"] == "AUTHENTICATION_REQUIRED" and error["detail"]
    status, job = by_curl(fresh, "run-long-options.sh", "-H", f'"x-api-key: {fresh.token}"')
    assert status == 200 and job["source_connection_id"] == SOURCE_CONNECTION


@pytest.mark.parametrize("path", [
    RUN, RUN + "/", RUN.removeprefix("/v1"), RUN.removeprefix("/v1") + "/", RUN + "?force_full_sync=true"])
def test_every_spelling_of_run(fresh, path):
    answer = fresh.call("POST", path)
    assert answer.status == 200 and answer.json["source_connection_id"] == SOURCE_CONNECTION, answer


def test_curl_over_tls_1_2_and_http_1_0(fresh):
    assert by_curl(fresh, "state.sh", "--tls-max", "1.2")[0] == 200
    assert by_curl(fresh, "state.sh", "--http1.0")[0] == 200
    assert by_curl(fresh, "state.sh", "--tlsv1.3")[0] == 200


def test_curl_uploads_a_large_state_with_and_without_a_length(fresh, tmp_path):
    """For more than 1 MiB curl first sends Expect: 100-continue."""
    body = tmp_path / "state.json"
    state = {"users": {"cursor": "2024-06-15T10:30:00Z", "seen": ["x" * 1000] * 300}}
    body.write_text(json.dumps({"state": state, "state_type": "stream"}))
    for more in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]):
        output = execute([
            "curl", "-sS", "--cacert", str(fresh.ca), "-X", "PATCH", "-H", f"Authorization: Bearer {fresh.token}",
            "-H", "Content-Type: application/json", "--data-binary", f"@{body}", *more,
            f"{fresh.url}/v1/organizations/org_xyz789/knowledge/connectors/connections/conn_abc123/state"])
        assert json.loads(output)["state"] == state
