"""The cost of one request: instructions of the gateway's own code, allocations of that code, system calls.

The numbers do not depend on how busy the machine is, nor on its libraries. The gateway has one worker and one connection,
and gets a request when it is at rest after the one before. The code of OpenSSL and libc does not count, nor does work that
is done by the clock. Hashes have the same seed in each run.
"""

import collections
import os
import re
import time

import callgrind
import proxy
import rig
import sequential
import servers
import triggers

REQUESTS = 500
WARM = 60
IDLE_SECONDS = 2
# Calls what a loop does by the clock.
NOT_COUNTED_FUNCTION = "runPeriodicTasks"
# The threads that wait for time to pass, for a signal, or for an operator.
BY_THE_CLOCK = ("callgrind", "signals", "file-watch", "reload", "log", "admin")
# Without valgrind the clock is read without a system call; the others are how libc gets its memory.
NOT_COUNTED = {"clock_gettime", "brk", "mmap", "munmap", "mprotect", "madvise", "mremap"}


def state_read(bench):
    return [bench.request] * (WARM + REQUESTS)


def proxied_get(bench):
    bench.start_upstream()
    bench.prepare_requests()
    with open(bench.request_files["get"], "rb") as file:
        return [file.read()] * (WARM + REQUESTS)


def trigger(bench):
    """A job each, for another connection; none of them ends."""
    triggers.define_connections(bench.path("gateway/state"), WARM + REQUESTS, 3000)
    bodies = [(triggers.BODY_FORMAT % number).encode() for number in range(WARM + REQUESTS)]
    return [b"%sContent-Length: %d\r\n\r\n%s" % (triggers.request_head(bench), len(body), body) for body in bodies]


# name -> (bench, what prepares it and makes the requests)
KINDS = {
    "state read": (servers.Bench, state_read),
    "proxied GET": (proxy.ProxyBench, proxied_get),
    "trigger": (servers.Bench, trigger),
}


def measure(kind, change=lambda request: request):
    """Per request of a kind: {"instructions": {function: n}, "allocations": {function: n}, "system calls": {name: n}}."""
    make_bench, prepare = KINDS[kind]
    with servers.Room(make_bench) as bench:
        bench.patience = 120
        requests = [change(request) for request in prepare(bench)]
        meter = Meter(bench)
        client = sequential.Client(meter.server)
        client.send(requests[:WARM])
        meter.restart()
        client.send(requests[WARM:])
        busy = meter.read()
        time.sleep(IDLE_SECONDS)
        idle = meter.read()
        client.close()
        bench.stop(meter.server)
    counts = total([without_timers(work, idle.get(thread)) for thread, work in busy.items()])
    if not all(counts.values()):
        raise rig.BenchError(f"{kind}: nothing was counted: {counts}")
    return {what: {name: count / REQUESTS for name, count in found.items()} for what, found in counts.items()}


class Work:
    """What one thread did: `counts` by what is counted, and how often it woke because time had passed."""

    def __init__(self):
        self.counts = {"instructions": collections.Counter(), "allocations": collections.Counter(),
                       "system calls": collections.Counter()}
        self.timeouts = 0


def without_timers(work, idle):
    """The counts of a thread without those of its timers, which wake it more often on a slow machine: a timer costs what it
    costs without requests."""
    if idle and idle.timeouts:
        for what, counts in idle.counts.items():
            for name, count in counts.items():
                work.counts[what][name] -= count * work.timeouts / idle.timeouts
    return work.counts


def total(of_threads):
    """The sum over threads, by names that people read."""
    found = {what: collections.Counter() for what in Work().counts}
    for counts in of_threads:
        for what, more in counts.items():
            found[what].update(more)
    return {what: counts if what == "system calls" else callgrind.readable(counts) for what, counts in found.items()}


class Meter:
    """A gateway under callgrind, whose work since the last reading can be read at any time."""

    def __init__(self, bench):
        with open(servers.GATEWAY, "rb") as program:
            if NOT_COUNTED_FUNCTION.encode() not in program.read():
                raise rig.BenchError(f"{servers.GATEWAY} has no function {NOT_COUNTED_FUNCTION}, which must not be counted")
        self.log, self.files, self.readings = bench.path("valgrind.log"), bench.path("callgrind"), 0
        self.server = bench.start("gateway", {"SWIFT_DETERMINISTIC_HASHING": "1"}, [
            "valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", "--trace-syscalls=yes",
            f"--toggle-collect=*{NOT_COUNTED_FUNCTION}*", "--collect-atstart=yes", f"--log-file={self.log}", f"--callgrind-out-file={self.files}"])
        callgrind.control(self.server, "instrumentation", "on")
        self.restart()

    def restart(self):
        callgrind.control(self.server, "zero")
        self.log_start = os.path.getsize(self.log)

    def read(self):
        """{number of a thread: its work}, without the threads that work by the clock; and starts anew."""
        callgrind.control(self.server, "dump")
        with open(self.log, "rb") as file:
            file.seek(self.log_start)
            trace = file.read().decode("ascii", "replace")
        self.readings += 1
        found = collections.defaultdict(Work)
        folder, start = os.path.split(f"{self.files}.{self.readings}-")
        for name in os.listdir(folder):
            if name.startswith(start):
                work = found[int(name[len(start):])]
                work.counts["instructions"], work.counts["allocations"] = callgrind.own_work(os.path.join(folder, name), servers.GATEWAY)
        count_system_calls(trace, found)
        names = callgrind.thread_names(self.server)
        self.restart()
        return {number: work for number, work in found.items() if not names.get(number, "").startswith(BY_THE_CLOCK)}


def count_system_calls(trace, found):
    """What valgrind wrote of system calls: "SYSCALL[process,thread](number) sys_name (...) ... --> result", or that in two
    lines, of which the second has no name."""
    running = {}
    for thread, name, result in re.findall(r"^SYSCALL\[\d+,(\d+)\]\( *\d+\) (?:sys_(\w+)|\.\.\.).*--> *(.*)", trace, re.MULTILINE):
        work = found[int(thread)]
        if name and name not in NOT_COUNTED:
            work.counts["system calls"][name] += 1
        name = running[thread] = name or running.get(thread, "")
        if name.startswith("epoll") and result.startswith("Success(0x0)"):
            work.timeouts += 1
