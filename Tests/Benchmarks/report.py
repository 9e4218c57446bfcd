"""Tables of a run: for the terminal and for RESULTS.md."""

import os
import platform
import statistics
import subprocess

from rig import Series, read

TITLES = {"cloop": "C epoll+OpenSSL loop", "gateway": "**gateway**", "gateway-log": "gateway, access log on",
          "nginx": "nginx `return`", "nginx-limit": "nginx, `limit_req` evaluated", "haproxy": "HAProxy `http-request return`",
          "envoy": "Envoy `direct_response`"}
PROXY_TITLES = {**TITLES, "nginx": "nginx `proxy_pass`", "haproxy": "HAProxy `server`", "envoy": "Envoy `cluster`"}


class Numbers:
    """All quantities of all servers: `numbers[quantity, server]` is a Series."""

    def __init__(self):
        self.table = {}

    def __getitem__(self, key):
        return self.table.setdefault(key, Series())

    def has(self, quantity):
        return any(key[0] == quantity and series.values for key, series in self.table.items())

    def ratio(self, quantity, server, base):
        """Median of the ratios of neighbouring rounds, so that drift of the machine cancels out."""
        pairs = list(zip(self[quantity, server].values, self[quantity, base].values))
        return statistics.median(one / other for one, other in pairs) if pairs else float("nan")


def markdown(rows):
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def times(value):
    return "-" if value != value else f"{value:.2f}x"


def state_table(numbers, servers):
    rows = [("state read, 32 keep-alive connections", "CPU us/request", "x C loop", "x nginx", "requests/s", "core busy", "p50 us", "p99 us")]
    for name in servers:
        if numbers["cpu", name].values:
            rows.append((TITLES[name], numbers["cpu", name].text(), times(numbers.ratio("cpu", name, "cloop")),
                         times(numbers.ratio("cpu", name, "nginx")), f"{numbers['rate', name].median:,.0f}",
                         f"{numbers['cpu', name].median * numbers['rate', name].median / 1e4:.0f} %",
                         f"{numbers['p50', name].median:.0f}", f"{numbers['p99', name].median:.0f}"))
    return markdown(rows)


def connection_table(numbers, servers):
    rows = [("connections", "full handshake, CPU us", "x nginx", "resumed, CPU us", "x nginx", "full / resumed per CPU second",
             "KiB per idle connection", "x nginx", "start to first answer, ms")]
    for name in servers:
        full, again = numbers["full", name], numbers["resumed", name]
        rows.append((
            TITLES[name], full.text(0), times(numbers.ratio("full", name, "nginx")), again.text(0),
            times(numbers.ratio("resumed", name, "nginx")),
            f"{1e6 / full.median:,.0f} / {1e6 / again.median:,.0f}" if full.values else "-",
            numbers["idle", name].text(1), times(numbers.ratio("idle", name, "nginx")), numbers["start", name].text(0)))
    return markdown(rows)


def other_table(numbers, servers):
    rows = [("state read in other ways", "no two requests alike, CPU us", "x C loop", "by wrk, CPU us", "x C loop",
             "p50 / p99 us at 70 % load")]
    for name in servers:
        varied, wrk = numbers["varied", name], numbers["wrk", name]
        rows.append((
            TITLES[name], varied.text(), times(numbers.ratio("varied", name, "cloop")), wrk.text(),
            times(numbers.ratio("wrk", name, "cloop")),
            f"{numbers['p50 at 70 %', name].median:.0f} / {numbers['p99 at 70 %', name].text(0)}"
            if numbers["p99 at 70 %", name].values else "-"))
    return markdown(rows)


def budget_table(numbers, servers, titles=TITLES):
    rows = [("per request", "allocations", "system calls")]
    for name in servers:
        if numbers["mallocs", name].values:
            calls = sorted(((series.median, key[0][8:]) for key, series in numbers.table.items()
                            if key[0].startswith("syscall ") and key[1] == name), reverse=True)
            rows.append((titles[name], numbers["mallocs", name].text(), ", ".join(f"{call} {many:.2f}" for many, call in calls if many >= 0.01)))
    return markdown(rows)


def goals(numbers, triggers):
    """(what, wanted, reached, met) for every target that was measured."""
    found = []

    def goal(what, wanted, value, met, text):
        if value == value:
            found.append((what, wanted, text.format(value), met(value)))

    goal("state read, CPU against the C loop", "<= 1.25x", numbers.ratio("cpu", "gateway", "cloop"), lambda x: x <= 1.25, "{:.2f}x")
    goal("state read, CPU against nginx `return`", "<= 1.00x", numbers.ratio("cpu", "gateway", "nginx"), lambda x: x <= 1, "{:.2f}x")
    goal("state read, CPU against nginx that evaluates its limit", "<= 1.00x", numbers.ratio("cpu", "gateway", "nginx-limit"), lambda x: x <= 1, "{:.2f}x")
    goal("state read, CPU against HAProxy", "<= 1.00x", numbers.ratio("cpu", "gateway", "haproxy"), lambda x: x <= 1, "{:.2f}x")
    goal("full handshake, CPU against nginx", "<= 1.10x", numbers.ratio("full", "gateway", "nginx"), lambda x: x <= 1.1, "{:.2f}x")
    goal("resumed handshake, CPU against nginx", "<= 1.10x", numbers.ratio("resumed", "gateway", "nginx"), lambda x: x <= 1.1, "{:.2f}x")
    goal("memory per idle connection against nginx", "<= 1.00x", numbers.ratio("idle", "gateway", "nginx"), lambda x: x <= 1, "{:.2f}x")
    goal("p99 at 70 % load against nginx", "<= 1.00x", numbers.ratio("p99 at 70 %", "gateway", "nginx"), lambda x: x <= 1, "{:.2f}x")
    goal("start to first answer", "< 100 ms", numbers["start", "gateway"].median, lambda x: x < 100, "{:.0f} ms")
    goal("durable triggers on one core", ">= 20,000/s", triggers.median, lambda x: x >= 20000, "{:,.0f}/s")
    return found


def proxy_tables(numbers, servers):
    """The cost of proxying, by kind of request."""
    present = [name for name in servers if numbers["get", name].values]
    full = [name for name in present if numbers["post", name].values]
    small = [("proxied state read, 32 connections", "CPU us/request", "x nginx", "requests/s", "core busy", "p50 us", "p99 us",
              "POST, CPU us/request")]
    for name in present:
        cost, rate = numbers["get", name], numbers["get rate", name].median
        small.append((PROXY_TITLES[name], cost.text(), times(numbers.ratio("get", name, "nginx")), f"{rate:,.0f}",
                      f"{cost.median * rate / 1e4:.0f} %", f"{numbers['get p50', name].median:.0f}",
                      f"{numbers['get p99', name].median:.0f}", numbers["post", name].text()))
    large = [("proxied bodies", "16 KiB, CPU us", "16 KiB chunked, CPU us", "1 MiB, CPU us", "1 MiB, MB per CPU second")]
    many = [("proxied state read, 1,000 connections", "CPU us/request", "p50 ms", "p99 ms", "memory, MiB", "KiB per connection")]
    for name in full:
        large.append((PROXY_TITLES[name], numbers["length", name].text(1), numbers["chunked", name].text(1),
                      numbers["large", name].text(0), f"{(1 << 20) / numbers['large', name].median:,.0f}"))
        many.append((PROXY_TITLES[name], numbers["many", name].text(), f"{numbers['many p50', name].median / 1000:.1f}",
                     f"{numbers['many p99', name].median / 1000:.1f}", numbers["memory", name].text(1),
                     numbers["memory per connection", name].text(1)))
    return [markdown(small), markdown(large), markdown(many), budget_table(numbers, present, PROXY_TITLES)]


def proxy_goals(numbers):
    """Every row against the better of the measured peers."""
    found = []
    for quantity, what in (
            ("get", "state read, CPU"), ("get p99", "state read, p99"), ("post", "POST, CPU"), ("length", "16 KiB, CPU"),
            ("chunked", "16 KiB chunked, CPU"), ("large", "1 MiB, CPU"), ("many", "1,000 connections, CPU"),
            ("many p99", "1,000 connections, p99"), ("memory", "1,000 connections, memory")):
        peers = [name for name in ("nginx", "haproxy", "envoy") if numbers[quantity, name].values]
        if not peers or not numbers[quantity, "gateway"].values:
            continue
        ratio, best = max((numbers.ratio(quantity, "gateway", name), name) for name in peers)
        found.append((f"proxied {what} against {TITLES[best].split()[0]}", "<= 1.00x", times(ratio), ratio <= 1))
    return found


def goal_table(found):
    return markdown([("target", "wanted", "reached", "")] + [(a, b, c, "met" if d else "MISSED") for a, b, c, d in found])


def machine():
    model = next((line.split(":")[1].strip() for line in read("/proc/cpuinfo").splitlines() if line.startswith("model name")), "")
    memory = int(read("/proc/meminfo").split()[1]) / (1 << 20)
    return (f"{os.cpu_count()} x {model}, {memory:.0f} GiB, Linux {platform.release()}, "
            f"load average before the run {os.getloadavg()[0]:.1f}")


def first_line(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else ""
