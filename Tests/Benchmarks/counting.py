"""Instructions per request, counted by callgrind: the same number in each run, however busy the machine is."""

import subprocess

import measuring

REQUESTS = 4000


def control(server, *words):
    """Sends a command to the callgrind that runs the server."""
    subprocess.run(["callgrind_control", *words, str(server.process.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def counted(bench, *options):
    """(callgrind's file, requests): a gateway under callgrind, which counts only under load."""
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
    """The sum of all instructions in a callgrind file."""
    with open(file) as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("totals:"))
