"""Instructions per request, counted by callgrind, of a gateway under the usual load."""

import callgrind
import measuring

REQUESTS = 4000


def counted(bench, *options):
    """(callgrind's file, requests): a gateway under callgrind, which counts only under load."""
    wrapper = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={bench.path('callgrind.%p')}"]
    server = bench.start("gateway", wrapper=wrapper)
    generator = measuring.load(bench, server, "--seconds", 60, "--count", REQUESTS, *options)
    callgrind.control(server, "instrumentation", "on")
    result = measuring.only_good(generator.run(), server)
    callgrind.control(server, "instrumentation", "off")
    generator.finish()
    callgrind.control(server, "dump")
    bench.stop(server)
    return bench.path(f"callgrind.{server.process.pid}.1"), result["requests"]
