"""POST jobs against many connections: how many durable triggers per second one core handles.

Every trigger gets its response after its record is on disk (group commit). Two cases: jobs that keep running, which measures
only the triggers; and jobs that end at once, which measures their whole life.
"""

import json
import os
import time

import rig
import servers

CONNECTIONS = 256  # all in flight: the group that one fsync commits
ID = "bench_%06d"
BODY_FORMAT = json.dumps({"connection_id": ID, "job_type": "sync"})


def request_head(bench):
    """The head of a trigger up to Content-Length, which the body follows."""
    return servers.request_head("POST", "/v1/organizations/org_xyz789/knowledge/connectors/jobs", bench.token,
                                "Content-Type: application/json\r\n")


def fsync_microseconds(directory):
    """The cost of one fsync of a small append on this disk: the minimum of a durable response."""
    file = os.open(os.path.join(directory, "fsync"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    samples = []
    for _ in range(200):
        os.write(file, b"x" * 200)
        start = time.monotonic()
        os.fdatasync(file)
        samples.append((time.monotonic() - start) * 1e6)
    os.close(file)
    return sorted(samples)[len(samples) // 2]


def define_connections(state, count, minimum_seconds):
    """Connections without streams: a job has nothing to do, and ends after `minimum_seconds`."""
    os.makedirs(os.path.join(state, "empty"), exist_ok=True)
    entries = [{
        "id": identifier, "organization": "org_xyz789", "source": {"folder": "empty", "format": "ndjson"},
        "destination": {"folder": f"out/{identifier}"}, "pace": {"minimumSeconds": minimum_seconds}, "streams": {},
    } for identifier in ["conn_abc123"] + [ID % number for number in range(count)]]
    with open(os.path.join(state, "connectors.json5"), "w") as file:
        json.dump({"connections": entries}, file)


def one_case(bench, load, name, count, minimum_seconds, rounds, seconds):
    """Samples: (triggers a second, CPU microseconds each, p50, p99)."""
    rate, cost, p50, p99 = (rig.Series() for _ in range(4))
    head_file = bench.write("trigger-head", request_head(bench))
    for number in range(rounds):
        label = f"gateway-{name}-{number}"
        define_connections(bench.path(label + "/state"), count, minimum_seconds)
        server = bench.start(label)
        generator = rig.Load(
            load, server.port, head_file, "--connections", CONNECTIONS, "--seconds", seconds, "--warm", 0, "--count",
            count - CONNECTIONS, "--body-format", BODY_FORMAT, "--bodies", count)
        before = server.settled_cpu()
        result = generator.run()
        used = server.settled_cpu() - before
        generator.finish()
        bench.stop(server)
        good = result["status"].get("200", 0)
        if good != result["requests"]:
            raise rig.BenchError(f"triggers were answered {result['status']}")
        rate.add(good / result["seconds"])
        cost.add(used / good * 1e6)
        p50.add(result["p50"] / 1000)
        p99.add(result["p99"] / 1000)
    return rate, cost, p50, p99


def measure(bench, load, rounds, seconds):
    """(rows of a table, triggers a second while jobs run)."""
    rows = [("durable triggers, 256 connections", "triggers/s", "CPU us each", "p50 ms", "p99 ms")]
    running = one_case(bench, load, "run", int(60000 * seconds), 3000, rounds, seconds)
    ending = one_case(bench, load, "end", int(60000 * seconds), 0, rounds, seconds)
    for title, (rate, cost, p50, p99) in (("jobs go on running", running), ("jobs end at once", ending)):
        rows.append((title, rate.text(0), cost.text(1), p50.text(1), p99.text(1)))
    rows.append((f"one fdatasync here: {fsync_microseconds(bench.directory):.0f} us", "", "", "", ""))
    return rows, running[0]
