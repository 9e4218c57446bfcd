"""A program under callgrind: told what to do while it runs, and what was counted read from its files."""

import collections
import os
import re
import shutil
import subprocess

ALLOCATORS = {"malloc", "calloc", "realloc", "memalign", "aligned_alloc", "posix_memalign"}


def control(server, *words):
    """Tells callgrind, in which the server runs, something; returns what it says to it."""
    done = subprocess.run(["vgdb", f"--pid={server.process.pid}", *words], check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


def thread_names(server):
    """{callgrind's number of a thread: its name} of those that have not ended."""
    names = {}
    for number, task in re.findall(r"^Thread (\d+): .*\(lwpid ([1-9]\d*)\)", control(server, "v.info", "scheduler"), re.MULTILINE):
        with open(f"/proc/{server.process.pid}/task/{task}/comm") as file:
            names[int(number)] = file.read().strip()
    return names


def total(file):
    """All instructions that a file of callgrind's counts."""
    with open(file) as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("totals:"))


def own_work(file, program):
    """What the program did outside of its shared libraries: ({function: instructions}, {function: memory it asked for, times})."""
    names = collections.defaultdict(dict)
    instructions, allocations = collections.Counter(), collections.Counter()
    here = function = callee = calls = None

    def name(kind, text):
        # "(12) name" where it is new, and "(12)" from then on.
        number, _, new = text.partition(" ")
        return names[kind].setdefault(number, new)

    with open(file, errors="replace") as lines:
        for line in lines:
            key, _, value = line.rstrip("\n").partition("=")
            if key[:1] in "0123456789+-*" and key:
                # The line after `calls=` has what the callee did, which its own lines have too.
                if calls is None and here:
                    instructions[function] += int(key.split()[1])
                elif calls and here and callee in ALLOCATORS:
                    allocations[function] += calls
                calls = None
            elif key == "ob":
                here = os.path.realpath(name("object", value)) == os.path.realpath(program)
            elif key == "cob":
                name("object", value)
            elif key == "fn":
                function = name("function", value)
            elif key == "cfn":
                callee = name("function", value)
            elif key == "calls":
                calls = int(value.split()[0])
    return instructions, allocations


def readable(counts):
    """The same counts by short names, as a reader of the source knows the functions; parts of one function are one."""
    mangled = list(counts)
    # 'N: a function that calls itself, N levels deep.
    text = "\n".join(re.sub(r"'\d+$", "", name) for name in mangled)
    if shutil.which("swift"):
        text = subprocess.run(["swift", "demangle", "--simplified"], input=text, capture_output=True, text=True, check=True).stdout
    found = collections.Counter()
    for old, name in zip(mangled, text.splitlines(), strict=True):
        name = re.sub(r"^\(\d+\) (?:suspend|await) resume partial function for ", "", name)
        name = re.sub(r"\b(?:specialized|merged|outlined) |\(anonymous namespace\)::", "", name)
        found[name if len(name) <= 90 else name[:87] + "..."] += counts[old]
    return found
