#!/bin/bash
# What to run before a commit: lint, documentation, build, tests, the shipped policies.
# usage: Tests/Scripts/check.sh [OPTIONS OF swift test]
set -euo pipefail
cd "$(dirname "$0")/../.."

Tests/Scripts/prepare
Tests/Scripts/lint
Tests/Scripts/docs
swift build
swift test "$@" </dev/null
"$(swift build --show-bin-path)/gateway" policy check policies
