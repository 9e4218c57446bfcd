# How a file of checks runs its sections, one after the other, in a clone: the file sources this one.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
scratch=$(mktemp -d "${TMPDIR:-/tmp}/gateway-ci.XXXXXX")
started=$SECONDS
child=

finish() {
    if [ -n "$child" ]; then kill -KILL -- "-$child" 2>/dev/null; fi
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

# section NAME COMMAND...: the log of a good section is short, that of a failed one complete.
section() {
    local name=$1 begun=$SECONDS log="$scratch/section.log" status
    shift
    printf '\n=== %s\n' "$name"
    "$@" >"$log" 2>&1 </dev/null
    status=$?
    if [ $status -ne 0 ]; then
        cat "$log"
        printf '\n=== FAILED: %s (exit code %s, after %ss)\n' "$name" "$status" "$((SECONDS - begun))"
        exit 1
    fi
    tail -n "${keep:-4}" "$log"
    printf -- '--- %s: ok, %ss\n' "$name" "$((SECONDS - begun))"
}

# passed: after the last section.
passed() {
    printf '\n=== all sections passed in %ss\n' "$((SECONDS - started))"
}

# What more than one file of checks needs.

install_needs() {
    local names=(openssl curl)
    command -v node >/dev/null || names+=(nodejs)
    command -v git >/dev/null || names+=(git)
    command -v valgrind >/dev/null || names+=(valgrind)
    # Debian's Python comes without venv; others bring it along.
    python3 -c 'import venv, ensurepip' 2>/dev/null || names+=(python3 python3-venv)
    command -v nginx >/dev/null || names+=(nginx-light)
    # A server that comes with a package must not be started by its installation; run level 1 has no services.
    RUNLEVEL=1 Tests/Scripts/prepare "${names[@]}"
}

install_clients() {
    python3 -m venv "$scratch/venv" &&
        "$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r Tests/Clients/requirements.txt
}

crash() {
    "$scratch/venv/bin/python" Tests/Crash/run --rounds "$1"
}

for name in $(compgen -e GATEWAY_ || true); do unset "$name"; done
export CI=${CI:-true} PYTHONDONTWRITEBYTECODE=1 DEBIAN_FRONTEND=noninteractive
