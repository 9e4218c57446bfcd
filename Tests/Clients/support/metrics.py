"""Measurements of the gateway, by itself and by the system: metrics, memory, processor time."""

import re

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)( \d+)?\Z')


def metrics(gateway):
    """The samples of /metrics by name and labels; checks each line of the text."""
    status, text = gateway.admin("/metrics")
    assert status == 200 and text.endswith("\n")
    types, helps, samples = {}, set(), {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types and kind in {"counter", "gauge", "histogram", "summary", "untyped"}
            types[name] = kind
        elif line.startswith("# HELP "):
            helps.add(line.split(" ", 3)[2])
        elif line and not line.startswith("#"):
            match = SAMPLE.match(line)
            assert match, f"not Prometheus text: {line!r}"
            key = match.group(1) + (match.group(2) or "")
            assert key not in samples, f"twice: {key}"
            samples[key] = float(match.group(3).replace("Inf", "inf"))
            base = re.sub(r"_(bucket|sum|count)\Z", "", match.group(1))
            assert match.group(1) in types or base in types, f"no TYPE for {key}"
    assert set(types) <= helps, "each metric says what it is"
    for name, kind in types.items():
        if kind == "histogram":
            check_histogram(name, samples)
    return samples


def check_histogram(name, samples):
    series = {}
    for key, value in samples.items():
        if match := re.match(rf'{name}_bucket\{{(.*?),?le="([^"]+)"\}}', key):
            series.setdefault(match.group(1), []).append((float(match.group(2).replace("Inf", "inf")), value))
    for labels, buckets in series.items():
        values = [value for _, value in sorted(buckets)]
        assert values == sorted(values), f"{name} {labels} is not cumulative"
        assert max(bound for bound, _ in buckets) == float("inf")
        labels = "{" + labels + "}" if labels else ""
        assert samples[f"{name}_count{labels}"] == values[-1] and f"{name}_sum{labels}" in samples


def total(samples, word, *labels):
    """The sum of the samples whose name contains `word` and that have these labels."""
    return sum(value for key, value in samples.items() if word in key and all(label in key for label in labels))


def resident(gateway):
    """Resident memory of the gateway in MiB."""
    with open(f"/proc/{gateway.process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024


def processor_seconds(gateway):
    """Processor time that the gateway has used, in seconds."""
    with open(f"/proc/{gateway.process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100
