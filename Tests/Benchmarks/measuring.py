"""One server under load: CPU time, allocations and system calls per request, and a profile."""

import os
import shutil
import subprocess
import time

import rig
import servers

LOAD = os.path.join(servers.BUILD, "load")


def load(bench, server, *options):
    return rig.Load(LOAD, server.port, bench.request_file, *bench.load_options, *options)


def only_good(result, server):
    if set(result["status"]) != {"200"}:
        raise rig.BenchError(f"{server.name} answered {result['status']}")
    return result


def measured(bench, server, *options):
    """One run of the load: (result, CPU microseconds of the server per request)."""
    generator = load(bench, server, *options)
    before, ticks = server.settled_cpu(), server.ticks()
    result = only_good(generator.run(), server)
    used, ticks = server.settled_cpu() - before, server.ticks() - ticks
    generator.finish()
    if used > 0.3 and abs(ticks - used) > 0.05 + 0.1 * used:
        raise rig.BenchError(f"{server.name}: schedstat says {used:.2f} s CPU, stat says {ticks:.2f} s")
    return result, used / result["requests"] * 1e6


def budget(bench, names, numbers):
    """Allocations and system calls per request, which do not depend on how busy the machine is."""
    for name in [name for name in names if name in ("cloop", "gateway", "gateway-log", "nginx", "haproxy")]:
        counter = bench.path("mallocs")
        library = os.path.join(servers.BUILD, "malloccount")
        server = bench.start(name, {"LD_PRELOAD": library, "MALLOC_COUNT_FILE": counter})
        generator = load(bench, server, "--seconds", 0.3)
        before = malloc_calls(counter)
        result = generator.run()
        numbers["mallocs", name].add((malloc_calls(counter) - before) / result["requests"])
        generator.finish()
        bench.stop(server)
        os.remove(counter)
        if not shutil.which("strace"):
            continue
        server = bench.start(name)
        generator = load(bench, server, "--seconds", 0.5)
        summary = bench.path("strace")
        pids = [word for pid in rig.family(server.process.pid) for word in ("-p", str(pid))]
        tracer = subprocess.Popen(["strace", "-f", "-c", "-o", summary] + pids, stderr=subprocess.DEVNULL)
        time.sleep(0.3)
        result = generator.run()
        tracer.terminate()
        tracer.wait()
        generator.finish()
        bench.stop(server)
        for line in rig.read(summary).splitlines():
            fields = line.split()
            if len(fields) >= 5 and fields[0][0].isdigit() and fields[-1] != "total":
                numbers["syscall " + fields[-1], name].add(int(fields[3]) / result["requests"])


def malloc_calls(file):
    with open(file, "rb") as counters:
        return int.from_bytes(counters.read(8), "little")


def profile(bench, server, *options):
    """The gateway's CPU time by library, and its most expensive functions."""
    if not shutil.which("perf"):
        return "perf is not installed; no profile."
    generator = load(bench, server, "--seconds", 3, *options)
    data = bench.path("perf.data")
    pids = ",".join(str(pid) for pid in rig.family(server.process.pid))
    ahead = ["chrt", "-f", "6"] if rig.PRIORITY else []  # without it, perf hardly ever runs beside real-time servers
    recorder = subprocess.Popen(ahead + ["perf", "record", "-q", "-F", "4000", "-g", "-p", pids, "-o", data, "--", "sleep", "2.5"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    generator.run()
    try:
        recorder.wait(timeout=30)
    except subprocess.TimeoutExpired:
        # perf runs at a higher priority than everything else. If it cannot end, because another perf records, it blocks the machine.
        recorder.kill()
        recorder.wait()
    generator.finish()

    def lines(limit, *options):
        done = subprocess.run(["perf", "report", "-i", data, "--stdio", "--no-children", "-g", "none", *options],
                              capture_output=True, text=True)
        return [line.rstrip() for line in done.stdout.splitlines() if line.strip() and not line.startswith("#")][:limit]

    symbols = [line for line in lines(400, "--sort", "dso,symbol") if "[k]" not in line][:30]
    symbols = subprocess.run(["swift", "demangle", "--simplified"], input="\n".join(symbols), capture_output=True, text=True).stdout \
        if shutil.which("swift") else "\n".join(symbols)
    symbols = "\n".join(line[:150] for line in symbols.splitlines())
    return "```\n" + "\n".join(lines(8, "--sort", "dso")) + "\n\n" + symbols + "\n```"
