"""Instructions per request, by callgrind: the same number each time, however busy the machine is."""

import subprocess

import measuring

REQUESTS = 4000


def control(server, *words):
    """Tells callgrind, in which the server runs, something."""
    subprocess.run(["callgrind_control", *words, str(server.process.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def counted(bench, *options):
    """(callgrind's file, requests): a gateway under callgrind, which counts only while it is under load."""
    wrapper = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={bench.path('callgrind.%p')}"]
    server = bench.start("gateway", wrapper=wrapper)
    generator = measuring.load(bench, server, "--seconds", 60, "--count", REQUESTS, *options)
    control(server, "-i", "on")
    result = measuring.only_good(generator.run(), server)
    control(server, "-i", "off")
    generator.finish()
    control(server, "-d")
    bench.stop(server)
    return bench.path(f"callgrind.{server.process.pid}.1"), result["requests"]


def total(file):
    """All instructions that a file of callgrind's counts."""
    with open(file) as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("totals:"))
